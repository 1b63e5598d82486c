internal import AnalyticsJSON

/// The rules for event fields, shared by all formats.
enum FieldRules {
    /// Maximum length of `id`. All lengths here are in Unicode scalars.
    static let idLength = 128
    /// Maximum length of the other texts.
    static let textLength = 200

    static func require(_ value: (some Any)?, _ field: String) throws(Rejection) {
        guard value == nil else { return }
        throw Rejection(field: field, code: .missingField, message: "'\(field)' is required.")
    }

    /// A string of 1 to `limit` characters without control characters; `nil` if null.
    static func string(_ member: borrowing JSONMember, _ field: String, limit: Int) throws(Rejection) -> String? {
        if member.isNull { return nil }
        guard let value = member.string else {
            throw Rejection(field: field, code: .invalidType, message: "'\(field)' must be a string.")
        }
        return try checked(value, field, limit: limit)
    }

    static func checked(_ value: String, _ field: String, limit: Int) throws(Rejection) -> String {
        guard hasLength(value, limit: limit) else {
            throw Rejection(field: field, code: .invalidValue, message: "'\(field)' must be 1 to \(limit) characters long.")
        }
        guard value.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) || value.unicodeScalars.allSatisfy(isPrintable) else {
            throw Rejection(
                field: field, code: .invalidValue, message: "'\(field)' must not hold control or other unprintable characters.")
        }
        return value
    }

    /// Length in Unicode scalars.
    static func hasLength(_ value: String, limit: Int) -> Bool {
        !value.isEmpty && (value.utf8.count <= limit || value.unicodeScalars.count <= limit)
    }

    /// Whether it contains characters that no Unicode version counts as printable: Cc, U+2028 and U+2029. Scalars that are unassigned here
    /// may be assigned in the Unicode version of the process that accepted the event.
    static func hasControls(_ value: String) -> Bool {
        guard !value.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else { return false }
        return value.unicodeScalars.contains { scalar in
            scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || (0x2028...0x2029).contains(scalar.value)
        }
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .surrogate, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }

    static func object(_ member: borrowing JSONMember, _ field: String) throws(Rejection) -> JSONText? {
        if member.isNull { return nil }
        guard member.isObject else {
            throw Rejection(field: field, code: .invalidType, message: "'\(field)' must be an object.")
        }
        return member.json
    }

    static func timestamp(_ member: borrowing JSONMember, _ field: String) throws(Rejection) -> Timestamp? {
        if member.isNull { return nil }
        if let milliseconds = member.integer {
            let timestamp = Timestamp(milliseconds: milliseconds)
            if timestamp.isValid { return timestamp }
        } else if let text = member.string, let timestamp = Timestamp(rfc3339: text) {
            return timestamp
        }
        throw Rejection(field: field, code: .invalidTimestamp, message: timestampHelp(field))
    }

    static func timestampHelp(_ field: String) -> String {
        "'\(field)' must be an RFC 3339 date-time such as 2026-03-01T12:34:56.789Z, or integer milliseconds since 1970, "
            + "between the years 1 and 9999."
    }
}
