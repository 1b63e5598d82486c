/// What a client sent of one event, read and checked field by field; not stamped yet. Pure.
struct EventDraft {
    var id: String?
    var type: String?
    var source: String?
    var timestamp: Timestamp?
    var data: JSONText?
    var correlationId: String?
    var metadata: JSONText?
    var userId: String?
    var sessionId: String?
}

extension EventDraft {
    /// Reads a native event. Throws a ``Rejection`` whose index is not set yet.
    init(native members: JSONMembers) throws(Rejection) {
        try members.each { (member) throws(Rejection) in
            if member.hasKey("id") {
                id = try FieldRules.string(member, "id", limit: 128)
            } else if member.hasKey("type") {
                type = try FieldRules.string(member, "type", limit: 200)
            } else if member.hasKey("source") {
                source = try FieldRules.string(member, "source", limit: 200)
            } else if member.hasKey("timestamp") {
                timestamp = try FieldRules.timestamp(member, "timestamp")
            } else if member.hasKey("data") {
                data = member.json
            } else if member.hasKey("correlationId") {
                correlationId = try FieldRules.string(member, "correlationId", limit: 200)
            } else if member.hasKey("metadata") {
                metadata = try FieldRules.object(member, "metadata")
            } else if member.hasKey("userId") {
                userId = try FieldRules.string(member, "userId", limit: 200)
            } else if member.hasKey("sessionId") {
                sessionId = try FieldRules.string(member, "sessionId", limit: 200)
            } else {
                throw Rejection(
                    field: member.key, code: .unknownField,
                    message: "'\(member.key)' is no field of an event; put it into 'data' or 'metadata'.")
            }
        }
        try FieldRules.require(type, "type")
        try FieldRules.require(source, "source")
        try FieldRules.require(data, "data")
    }
}

/// The rules of the event's fields, one place for every format.
enum FieldRules {
    static func require(_ value: (some Any)?, _ field: String) throws(Rejection) {
        guard value == nil else { return }
        throw Rejection(field: field, code: .missingField, message: "'\(field)' is required.")
    }

    /// A string of 1 to `limit` characters without control characters; `nil` when it is null.
    static func string(_ member: JSONMember, _ field: String, limit: Int) throws(Rejection) -> String? {
        if member.isNull { return nil }
        guard let value = member.string else {
            throw Rejection(field: field, code: .invalidType, message: "'\(field)' must be a string.")
        }
        return try checked(value, field, limit: limit)
    }

    static func checked(_ value: String, _ field: String, limit: Int) throws(Rejection) -> String {
        guard !value.isEmpty, value.utf8.count <= limit || value.unicodeScalars.count <= limit else {
            throw Rejection(field: field, code: .invalidValue, message: "'\(field)' must be 1 to \(limit) characters long.")
        }
        guard value.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) || value.unicodeScalars.allSatisfy(isPrintable) else {
            throw Rejection(
                field: field, code: .invalidValue, message: "'\(field)' must not hold control or other unprintable characters.")
        }
        return value
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .surrogate, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }

    static func object(_ member: JSONMember, _ field: String) throws(Rejection) -> JSONText? {
        if member.isNull { return nil }
        guard member.isObject else {
            throw Rejection(field: field, code: .invalidType, message: "'\(field)' must be an object.")
        }
        return member.json
    }

    static func timestamp(_ member: JSONMember, _ field: String) throws(Rejection) -> Timestamp? {
        if member.isNull { return nil }
        if let milliseconds = member.integer {
            let timestamp = Timestamp(milliseconds: milliseconds)
            if timestamp >= .earliest && timestamp <= .latest { return timestamp }
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
