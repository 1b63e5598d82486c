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

/// Reads the settings of ``SettingCatalogue``. What is empty counts as not set, as in a compose file's `${NAME:-}`.
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

    func value<Value>(_ setting: Setting<Value>) throws -> Value {
        // The provider writes a key's components in capitals, joined by "_": taking the name apart gives it back.
        let key = ConfigKey(setting.name.lowercasedASCII().splitUTF8("_").map(String.init))
        guard let text = reader.string(forKey: key, isSecret: setting.isSecret), !text.isEmpty else { return setting.standard }
        guard let value = setting.parse(text) else {
            throw SettingsError(setting.name, setting.isSecret ? Self.withoutSecrets(text) : text, allowed: setting.allowed)
        }
        return value
    }

    /// What stands between the scheme and the `@` of an address does not belong in a log.
    private static func withoutSecrets(_ address: String) -> String {
        guard let at = address.utf8.lastIndex(of: UInt8(ascii: "@")) else { return address }
        let start = address.utf8.firstRange(of: "://".utf8)?.upperBound ?? address.startIndex
        return start < at ? address[..<start] + "…" + address[at...] : address
    }
}
