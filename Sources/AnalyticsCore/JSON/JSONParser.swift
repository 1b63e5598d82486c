internal import CJSON

/// Why a text is not the JSON object that was asked for.
struct JSONFault: Error, Equatable {
    enum Code: Equatable {
        case syntax
        case utf8
        case depth
        case duplicateKey
        case nulInKey
        case number
        case notObject
        case memory
    }

    var code: Code
    /// The top-level key under which it was found, when that is known.
    var key: String?
}

extension JSONFault.Code {
    init(_ status: cjson_status) {
        self =
            switch status {
            case CJSON_UTF8: .utf8
            case CJSON_DEPTH: .depth
            case CJSON_DUPLICATE_KEY: .duplicateKey
            case CJSON_NUL_IN_KEY: .nulInKey
            case CJSON_NUMBER: .number
            case CJSON_NOT_OBJECT: .notObject
            case CJSON_MEMORY: .memory
            default: .syntax
            }
    }
}

/// Parses and validates JSON objects with simdjson; reuses its buffers from one object to the next. One thread at a time.
final class JSONParser {
    private let parser: OpaquePointer

    init() {
        parser = cjson_parser_new()
    }

    deinit {
        cjson_parser_free(parser)
    }

    /// Parses one object with a parser of its own, which is there for as long as `body` runs; `nil` when it is no object.
    static func withMembers<R>(of text: JSONSlice, maximumDepth: Int, _ body: (JSONMembers) -> R?) -> R? {
        let parser = JSONParser()
        return withExtendedLifetime(parser) {
            guard let members = try? parser.members(of: text, maximumDepth: maximumDepth) else { return nil }
            return body(members)
        }
    }

    /// The top-level members; they hold until the next call, and no longer than the parser: whoever calls this keeps it.
    func members(of text: JSONSlice, maximumDepth: Int) throws(JSONFault) -> JSONMembers {
        var members: UnsafePointer<cjson_member>?
        var count = 0
        var key = cjson_view()
        let status = cjson_parse_object(parser, text.start, text.count, UInt32(maximumDepth), &members, &count, &key)
        guard status == CJSON_OK else {
            throw JSONFault(code: .init(status), key: key.bytes == nil ? nil : JSONSlice(key).string)
        }
        return JSONMembers(members: UnsafeBufferPointer(start: members, count: count))
    }
}

/// The members of a parsed object, in their order.
struct JSONMembers: Sequence {
    fileprivate var members: UnsafeBufferPointer<cjson_member>

    func makeIterator() -> AnyIterator<JSONMember> {
        var index = 0
        return AnyIterator { [members] in
            guard index < members.count else { return nil }
            defer { index += 1 }
            return JSONMember(member: members[index])
        }
    }

    /// Calls `body` for each member; quicker than the iterator, and throws what it throws.
    func each<E: Error>(_ body: (JSONMember) throws(E) -> Void) throws(E) {
        for index in members.indices { try body(JSONMember(member: members[index])) }
    }

    subscript(key: StaticString) -> JSONMember? {
        for member in members where JSONMember(member: member).hasKey(key) { return JSONMember(member: member) }
        return nil
    }
}

struct JSONMember {
    fileprivate var member: cjson_member

    var key: String { JSONSlice(member.key).string }

    func hasKey(_ key: StaticString) -> Bool { JSONSlice(member.key).equals(key) }

    var isNull: Bool { member.kind == CJSON_NULL }

    var string: String? { member.kind == CJSON_STRING ? JSONSlice(member.text).string : nil }

    var integer: Int64? { member.kind == CJSON_INTEGER ? member.integer : nil }

    var isObject: Bool { member.kind == CJSON_OBJECT }

    var isArray: Bool { member.kind == CJSON_ARRAY }

    /// The value as normalised JSON text.
    var json: JSONText {
        guard member.kind == CJSON_STRING else { return JSONText(normalised: JSONSlice(member.text).string) }
        var writer = JSONWriter()
        writer.string(bytes: member.text.bytes, count: member.text.length)
        return JSONText(normalised: writer.text)
    }
}

/// Cuts an array into its elements, raw.
struct JSONElements {
    private var scanner = cjson_scanner()

    /// `nil` when the text does not start with `[`.
    init?(_ text: JSONSlice) {
        guard cjson_scan_begin(&scanner, text.start, text.count, CChar(bitPattern: UInt8(ascii: "["))) == CJSON_OK else { return nil }
    }

    /// The next element, raw; `nil` after the last. Throws when the array itself is broken.
    mutating func next() throws(JSONFault) -> JSONSlice? {
        var element = cjson_view()
        switch cjson_scan_element(&scanner, &element) {
        case CJSON_OK: return JSONSlice(element)
        case CJSON_END: return nil
        case let status: throw JSONFault(code: .init(status))
        }
    }
}

/// Cuts an object into its members, raw.
struct JSONRawMembers {
    private var scanner = cjson_scanner()

    /// `nil` when the text does not start with `{`.
    init?(_ text: JSONSlice) {
        guard cjson_scan_begin(&scanner, text.start, text.count, CChar(bitPattern: UInt8(ascii: "{"))) == CJSON_OK else { return nil }
    }

    /// The next member; the key as it stands between its quotes.
    mutating func next() throws(JSONFault) -> (key: JSONSlice, value: JSONSlice)? {
        var key = cjson_view()
        var value = cjson_view()
        switch cjson_scan_member(&scanner, &key, &value) {
        case CJSON_OK: return (JSONSlice(key), JSONSlice(value))
        case CJSON_END: return nil
        case let status: throw JSONFault(code: .init(status))
        }
    }
}
