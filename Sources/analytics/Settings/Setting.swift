internal import AnalyticsCore

/// One thing that can be set: under which name, what is allowed, and what holds where it is not set.
///
/// ``SettingCatalogue`` lists all; a test compares them with `.env.example`, `docs/configuration.md` and `docker-compose.yml`.
struct Setting<Value: Sendable>: SettingDescription {
    let name: String
    let documentedDefault: String?
    let isSecret: Bool
    let allowed: String
    /// What holds where it is not set.
    let standard: Value
    /// `nil` for a text that is not allowed. Where the value is an optional itself, a plain `nil` in a closure is a value: be explicit.
    let parse: @Sendable (String) -> Value?
}

/// What is to be said about a setting.
protocol SettingDescription: Sendable {
    var name: String { get }
    /// As an operator would write it; `nil` where nothing is set by default.
    var documentedDefault: String? { get }
    /// What is allowed, for the error that a wrong value ends with.
    var allowed: String { get }
}

extension Setting {
    init(
        _ name: String, _ standard: Value, documented: String?, isSecret: Bool = false, allowed: String,
        parse: @escaping @Sendable (String) -> Value?
    ) {
        self.init(
            name: name, documentedDefault: documented, isSecret: isSecret, allowed: allowed, standard: standard, parse: parse)
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
    /// Where the service has to know whether it is set.
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

extension Setting<String> {
    static func text(_ name: String, default standard: String) -> Self {
        Self(name, standard, documented: standard, allowed: "any text") { $0 }
    }
}

extension Setting<String?> {
    static func optionalText(_ name: String, documented: String? = nil, isSecret: Bool = false) -> Self {
        Self(name, nil, documented: documented, isSecret: isSecret, allowed: "any text") { $0 }
    }

    /// An address, which may hold a password.
    static func address(_ name: String, schemes: [String], allowed: String) -> Self {
        Self(name, nil, documented: nil, isSecret: true, allowed: allowed) { text in
            guard schemes.contains(where: { text.starts(withUTF8: "\($0)://") }) else { return String??.none }
            return text
        }
    }
}
