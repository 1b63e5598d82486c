internal import AnalyticsCore
internal import Configuration
internal import SystemPackage

/// A setting that cannot be used; its description is the one line that the start ends with.
struct SettingsError: Error, CustomStringConvertible {
    var description: String

    init(_ name: String, _ value: String, allowed: String) {
        description = "\(name)=\(value) is not allowed: \(allowed)"
    }

    init(_ message: String) {
        description = message
    }
}

/// Reads settings by the names that stand in .env.example. What is empty counts as not set, as in a compose file's `${NAME:-}`.
struct SettingsReader {
    private let reader: ConfigReader

    init(_ reader: ConfigReader) {
        self.reader = reader
    }

    /// From the environment, and from `.env` what the environment does not say.
    static func standard() async throws -> SettingsReader {
        SettingsReader(
            ConfigReader(providers: [
                EnvironmentVariablesProvider(),
                try await EnvironmentVariablesProvider(environmentFilePath: ".env", allowMissing: true),
            ]))
    }

    func text(_ name: String, isSecret: Bool = false) -> String? {
        // The provider writes a key's components in capitals, joined by "_": taking the name apart gives it back.
        let key = ConfigKey(name.lowercasedASCII().splitUTF8("_").map(String.init))
        guard let value = reader.string(forKey: key, isSecret: isSecret), !value.isEmpty else { return nil }
        return value
    }

    func integer(_ name: String, default standard: Int, in range: ClosedRange<Int>) throws -> Int {
        try integer(name, in: range) ?? standard
    }

    /// `nil` where it is not set.
    func integer(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let text = text(name) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw SettingsError(name, text, allowed: "an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func flag(_ name: String, default standard: Bool) throws -> Bool {
        guard let text = text(name) else { return standard }
        switch text.lowercasedASCII() {
        case "true", "1", "yes", "on": return true
        case "false", "0", "no", "off": return false
        default: throw SettingsError(name, text, allowed: "true or false")
        }
    }
}
