internal import CSimdJSON

/// Parses and validates JSON objects with simdjson; reuses its buffers for all objects.
///
/// The parsed members are lent: they are in the parser's buffers, so a closure may read them, and only copies leave it. Code that
/// copies or keeps ``JSONMembers`` or ``JSONMember``, or that uses the parser inside the closure, does not compile.
public struct JSONParser: ~Copyable {
    private let parser: OpaquePointer

    public init() {
        parser = cjson_parser_new()
    }

    deinit {
        cjson_parser_free(parser)
    }

    /// Parses one whole object and lends its top-level members to `body`.
    ///
    /// - Parameter maximumDepth: How many containers may be nested, the object included.
    /// - Parameter fault: Creates the caller's error if the text is not a valid object.
    @inlinable
    public mutating func withMembers<R, E: Error>(
        of text: PaddedBytes, at range: Range<Int>, maximumDepth: Int,
        _ body: (borrowing JSONMembers) throws(E) -> R, fault: (JSONFault) -> E
    ) throws(E) -> R {
        let members: JSONMembers
        do throws(JSONFault) {
            members = try parse(text, at: range, maximumDepth: maximumDepth)
        } catch {
            throw fault(error)
        }
        return try body(members)
    }

    /// The same for a body that does not throw.
    @inlinable
    public mutating func withMembers<R>(
        of text: PaddedBytes, at range: Range<Int>, maximumDepth: Int, _ body: (borrowing JSONMembers) -> R
    ) throws(JSONFault) -> R {
        try body(parse(text, at: range, maximumDepth: maximumDepth))
    }

    /// Parses one value of any kind and lends it to `body`.
    public mutating func withValue<R, E: Error>(
        of text: PaddedBytes, at range: Range<Int>, maximumDepth: Int,
        _ body: (borrowing JSONMember) throws(E) -> R, fault: (JSONFault) -> E
    ) throws(E) -> R {
        // Wrapped as the only member of an object, because the parser accepts only objects.
        var object = PaddedBytes(reservingCapacity: range.count + 6)
        object.append("{\"\":".utf8)
        object.append(text[range])
        object.append("}".utf8)
        return try withMembers(of: object, at: object.all, maximumDepth: maximumDepth + 1) { (members) throws(E) in
            guard members.count == 1 else { throw fault(JSONFault(code: .syntax)) }
            return try body(members.member(at: 0))
        } fault: {
            fault($0)
        }
    }

    /// The members are valid until the next call, and no longer than the parser.
    @usableFromInline
    mutating func parse(_ text: PaddedBytes, at range: Range<Int>, maximumDepth: Int) throws(JSONFault) -> JSONMembers {
        var members: UnsafePointer<cjson_member>?
        var count = 0
        var key = cjson_view()
        let status = text.withPointer(at: range) { start in
            cjson_parse_object(parser, start, range.count, UInt32(maximumDepth), &members, &count, &key)
        }
        guard status == CJSON_OK else {
            throw JSONFault(code: .init(status), key: key.bytes == nil ? nil : key.string)
        }
        return JSONMembers(members: members, count: count)
    }
}

/// The members of a parsed object, in their order.
public struct JSONMembers: ~Copyable {
    private let members: UnsafePointer<cjson_member>?
    public let count: Int

    fileprivate init(members: UnsafePointer<cjson_member>?, count: Int) {
        self.members = members
        self.count = count
    }

    @inlinable
    public func each<E: Error>(_ body: (borrowing JSONMember) throws(E) -> Void) throws(E) {
        for index in 0..<count { try body(member(at: index)) }
    }

    /// Calls `body` with the member of this name; returns `nil` if there is none.
    @inlinable
    public func with<R, E: Error>(_ key: StaticString, _ body: (borrowing JSONMember) throws(E) -> R?) throws(E) -> R? {
        for index in 0..<count {
            let member = member(at: index)
            if member.hasKey(key) { return try body(member) }
        }
        return nil
    }

    public func has(_ key: StaticString) -> Bool { with(key) { _ in true } ?? false }

    /// The member's value, if there is a member with this name and type.
    public func string(_ key: StaticString) -> String? { with(key) { $0.string } }
    public func integer(_ key: StaticString) -> Int64? { with(key) { $0.integer } }

    @usableFromInline
    func member(at index: Int) -> JSONMember { JSONMember(members! + index) }
}

/// A member of a parsed object.
public struct JSONMember: ~Copyable {
    private let member: UnsafePointer<cjson_member>
    @usableFromInline let keyStart: UnsafeRawPointer
    @usableFromInline let keyCount: Int

    fileprivate init(_ member: UnsafePointer<cjson_member>) {
        self.member = member
        keyStart = UnsafeRawPointer(member.pointee.key.bytes)
        keyCount = member.pointee.key.length
    }

    public var key: String { member.pointee.key.string }

    @inlinable @inline(__always)
    public func hasKey(_ key: StaticString) -> Bool {
        guard keyCount == key.utf8CodeUnitCount else { return false }
        for index in 0..<keyCount where keyStart.load(fromByteOffset: index, as: UInt8.self) != key.utf8Start[index] { return false }
        return true
    }

    public var isNull: Bool { member.pointee.kind == CJSON_NULL }

    public var string: String? { member.pointee.kind == CJSON_STRING ? member.pointee.text.string : nil }

    public var integer: Int64? { member.pointee.kind == CJSON_INTEGER ? member.pointee.integer : nil }

    /// `nil` for an object or an array.
    public var scalar: JSONScalar? {
        switch member.pointee.kind {
        case CJSON_STRING: .string(member.pointee.text.string)
        case CJSON_INTEGER: .integer(member.pointee.integer)
        case CJSON_DOUBLE: .double(member.pointee.number)
        case CJSON_BOOL: .boolean(member.pointee.boolean)
        case CJSON_NULL: .null
        default: nil
        }
    }

    public var isObject: Bool { member.pointee.kind == CJSON_OBJECT }

    /// The value as normalised JSON text.
    public var json: JSONText {
        let text = member.pointee.text
        guard member.pointee.kind == CJSON_STRING else { return JSONText(normalised: text.string) }
        var writer = JSONWriter()
        writer.string(bytes: text.bytes, count: text.length)
        return JSONText(normalised: writer.text)
    }
}

extension cjson_view {
    /// A parsed value is valid UTF-8, so nothing is repaired.
    fileprivate var string: String { String(decoding: UnsafeRawBufferPointer(start: bytes, count: length), as: UTF8.self) }
}
