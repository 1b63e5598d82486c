internal import AnalyticsCore

/// A setting: its name, its allowed values, and its default.
///
/// ``SettingCatalogue`` lists all settings. A test compares them with `.env.example`, `docs/configuration.md` and `docker-compose.yml`.
struct Setting<Value: Sendable>: SettingDescription {
    let name: String
    let documentedDefault: String?
    let isSecret: Bool
    let allowed: String
    /// What an error shows of a wrong value.
    let shown: @Sendable (String) -> String
    /// The default value.
    let standard: Value
    /// `nil` for text that is not allowed. If the value itself is an optional, a plain `nil` in a closure is a value: be explicit.
    let parse: @Sendable (String) -> Value?
}

/// The documentation of a setting.
protocol SettingDescription: Sendable {
    var name: String { get }
    /// As an operator would write it; `nil` if there is no default.
    var documentedDefault: String? { get }
    /// A password, a token, a key, or an address that may have a password. It can be read from a file instead: ``fileName``.
    var isSecret: Bool { get }
    /// The allowed values, for the error about a wrong value.
    var allowed: String { get }
}

extension SettingDescription {
    /// The setting with the path of a file whose first line is the value. Exists for secrets.
    var fileName: String { name + "_FILE" }
}

extension Setting {
    init(
        _ name: String, _ standard: Value, documented: String?, isSecret: Bool = false, allowed: String,
        shown: (@Sendable (String) -> String)? = nil, parse: @escaping @Sendable (String) -> Value?
    ) {
        let part: @Sendable (String) -> String = { isSecret ? "…" : $0 }
        self.init(
            name: name, documentedDefault: documented, isSecret: isSecret, allowed: allowed, shown: shown ?? part, standard: standard,
            parse: parse)
    }
}

extension Setting<Int> {
    static func integer(_ name: String, default standard: Int, in range: ClosedRange<Int>) -> Self {
        Self(name, standard, documented: String(standard), allowed: integerRange(range)) {
            Int($0).flatMap { range.contains($0) ? $0 : nil }
        }
    }
}

extension Setting<Int?> {
    /// For settings that differ between "not set" and any value.
    static func optionalInteger(_ name: String, documented: String? = nil, in range: ClosedRange<Int>) -> Self {
        Self(name, nil, documented: documented, allowed: integerRange(range)) { text in
            guard let value = Int(text), range.contains(value) else { return Int??.none }
            return value
        }
    }
}

private func integerRange(_ range: ClosedRange<Int>) -> String {
    "an integer from \(range.lowerBound) to \(range.upperBound)"
}

extension Setting<Bool> {
    static func flag(_ name: String, default standard: Bool) -> Self {
        Self(name, standard, documented: String(standard), allowed: "true or false") { text in
            switch text.lowercasedASCII() {
            case "true", "1", "yes", "on": true
            case "false", "0", "no", "off": false
            default: nil
            }
        }
    }
}

extension Setting<Int> {
    /// A number of proxies. `true` is one, `false` none.
    static func proxies(_ name: String) -> Self {
        let flag = Setting<Bool>.flag(name, default: false)
        return Self(name, 0, documented: flag.documentedDefault, allowed: "true, false, or the number of proxies from 1 to 10") { text in
            if let isOne = flag.parse(text) { return isOne ? 1 : 0 }
            return Int(text).flatMap { (1...10).contains($0) ? $0 : nil }
        }
    }
}

extension Setting<String> {
    static func text(_ name: String, default standard: String) -> Self {
        Self(name, standard, documented: standard, allowed: "any text") { $0 }
    }
}

extension Setting<String?> {
    static func optionalText(_ name: String, documented: String? = nil, isSecret: Bool = false) -> Self {
        Self(name, nil, documented: documented, isSecret: isSecret, allowed: "any text") { $0 }
    }

    /// An address, which may contain a password.
    static func address(_ name: String, schemes: [String], allowed: String) -> Self {
        Self(name, nil, documented: nil, isSecret: true, allowed: allowed, shown: withoutUser) { text in
            guard schemes.contains(where: { text.starts(withUTF8: "\($0)://") }) else { return String??.none }
            return text
        }
    }

    /// A host. Not an address with a scheme, which may contain a password.
    static func host(_ name: String, allowed: String) -> Self {
        Self(name, nil, documented: nil, allowed: allowed, shown: withoutUser) { text in
            text.utf8.firstRange(of: "://".utf8) == nil ? text : String??.none
        }
    }

    /// A token of at least `shortest` characters that fits into a header.
    static func token(_ name: String, shortest: Int) -> Self {
        Self(
            name, nil, documented: nil, isSecret: true, allowed: "a text of at least \(shortest) ASCII characters without spaces"
        ) { text in
            guard text.utf8.count >= shortest, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return String??.none }
            return text
        }
    }
}

extension Setting<SecureURL?> {
    /// An address to which secrets are sent.
    static func secureURL(
        _ name: String, allowed: String, where isAllowed: @escaping @Sendable (SecureURL) -> Bool
    ) -> Self {
        Self(name, nil, documented: nil, allowed: allowed, shown: withoutUser) { text in
            guard let url = SecureURL(text), isAllowed(url) else { return SecureURL??.none }
            return url
        }
    }
}

/// Replaces the part between the scheme and the `@` of an address, which must not be logged.
private func withoutUser(_ address: String) -> String {
    guard let at = address.utf8.lastIndex(of: UInt8(ascii: "@")) else { return address }
    let start = address.utf8.firstRange(of: "://".utf8)?.upperBound ?? address.startIndex
    return start < at ? address[..<start] + "…" + address[at...] : address
}
