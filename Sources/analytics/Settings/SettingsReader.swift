internal import AnalyticsCore
internal import Configuration
internal import SystemPackage

/// An invalid setting. The description is the one line that the start ends with.
struct SettingsError: Error, CustomStringConvertible {
    var description: String

    init(_ name: String, _ value: String, allowed: String) {
        description = "\(name)=\(value) is not allowed: \(allowed)"
    }

    init(_ message: String) {
        description = message
    }
}

/// Reads the settings of ``SettingCatalogue``. An empty value counts as not set, as in a compose file's `${NAME:-}`.
struct SettingsReader {
    private let reader: ConfigReader

    init(_ reader: ConfigReader) {
        self.reader = reader
    }

    /// Reads the environment first, then `.env`.
    static func standard() async throws -> SettingsReader {
        SettingsReader(
            ConfigReader(providers: [
                EnvironmentVariablesProvider(),
                try await EnvironmentVariablesProvider(environmentFilePath: ".env", allowMissing: true),
            ]))
    }

    func value<Value>(_ setting: Setting<Value>) throws -> Value {
        // The provider joins the components of a key with "_" in capitals, so splitting the name gives the key.
        let key = ConfigKey(setting.name.lowercasedASCII().splitUTF8("_").map(String.init))
        guard let text = reader.string(forKey: key, isSecret: setting.isSecret), !text.isEmpty else { return setting.standard }
        guard let value = setting.parse(text) else {
            throw SettingsError(setting.name, setting.isSecret ? Self.withoutSecrets(text) : text, allowed: setting.allowed)
        }
        return value
    }

    /// Replaces the part between the scheme and the `@` of an address, which must not be logged.
    private static func withoutSecrets(_ address: String) -> String {
        guard let at = address.utf8.lastIndex(of: UInt8(ascii: "@")) else { return address }
        let start = address.utf8.firstRange(of: "://".utf8)?.upperBound ?? address.startIndex
        return start < at ? address[..<start] + "…" + address[at...] : address
    }
}
