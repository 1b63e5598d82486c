internal import AnalyticsCore
internal import Configuration
internal import Foundation
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
    /// The text of a setting, by name; `nil` or empty if it is not set.
    private let text: @Sendable (_ name: String, _ isSecret: Bool) -> String?

    init(_ text: @escaping @Sendable (_ name: String, _ isSecret: Bool) -> String?) {
        self.text = text
    }

    /// Reads the environment first, then `.env`.
    static func standard() async throws -> SettingsReader {
        let reader = ConfigReader(providers: [
            EnvironmentVariablesProvider(),
            try await EnvironmentVariablesProvider(environmentFilePath: ".env", allowMissing: true),
        ])
        return SettingsReader { name, isSecret in
            // The provider joins the components of a key with "_" in capitals, so splitting the name gives the key.
            reader.string(forKey: ConfigKey(name.lowercasedASCII().splitUTF8("_").map(String.init)), isSecret: isSecret)
        }
    }

    func value<Value>(_ setting: Setting<Value>) throws -> Value {
        let text = text(setting.name, setting.isSecret) ?? ""
        if setting.isSecret, let path = self.text(setting.fileName, false), !path.isEmpty {
            guard text.isEmpty else { throw SettingsError("\(setting.name) and \(setting.fileName) are both set: set one of them") }
            guard let value = setting.parse(try Self.firstLine(of: path, setting.fileName)) else {
                throw SettingsError(setting.fileName, path, allowed: "a file whose first line is \(setting.allowed)")
            }
            return value
        }
        guard !text.isEmpty else { return setting.standard }
        guard let value = setting.parse(text) else { throw SettingsError(setting.name, setting.shown(text), allowed: setting.allowed) }
        return value
    }

    /// Bytes of a file that are read.
    private static let longestFile = 64 * 1024

    /// Without its end, which is a line feed, with or without a carriage return.
    private static func firstLine(of path: String, _ name: String) throws -> String {
        let bytes: Data
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? file.close() }
            bytes = try file.read(upToCount: longestFile) ?? Data()
        } catch {
            throw SettingsError(name, path, allowed: "a file that can be read (\(error.localizedDescription))")
        }
        var line = bytes.prefix { $0 != UInt8(ascii: "\n") }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        guard !line.isEmpty, let text = String(bytes: line, encoding: .utf8) else {
            throw SettingsError(name, path, allowed: "a file whose first line is a text")
        }
        return text
    }
}
