import AnalyticsCore
import AnalyticsJSON
import CMongoShims

/// Reads a BSON document in place, without a copy (https://bsonspec.org/spec.html). Valid only as long as the memory below it: until the
/// next row of the cursor or reply. A truncated value or an unknown type ends the iteration; ``each(_:)`` reports it.
struct BSONView {
    private let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// A view of a `bson_t`.
    init(_ document: OpaquePointer) {
        self.init(UnsafeRawBufferPointer(start: bson_get_data(document), count: Int(cmongoc_length(document))))
    }

    subscript(key: String) -> BSONElement? {
        first { $0.hasKey(key.utf8) }
    }

    /// Calls `body` for each element. Returns false if the bytes are not one whole document; then elements may be missing.
    func each(_ body: (BSONElement) -> Void) -> Bool {
        var elements = makeIterator()
        while let element = elements.next() { body(element) }
        return elements.isAtEnd
    }

    /// The bytes of the whole document, for comparing keys: equal values written by the same code are equal bytes.
    var identity: [UInt8] { Array(bytes) }
}

extension BSONView: Sequence {
    struct Iterator: IteratorProtocol {
        private var rest: Slice<UnsafeRawBufferPointer>
        private let isFramed: Bool

        fileprivate init(_ bytes: UnsafeRawBufferPointer) {
            // The length comes first, a terminating zero last.
            isFramed = bytes.count >= 5 && Int(Int32(littleEndian: bytes.loadUnaligned(as: Int32.self))) == bytes.count && bytes.last == 0
            rest = bytes.count >= 5 ? bytes.dropFirst(4).dropLast() : bytes.suffix(0)
        }

        /// Whether the document was whole. Valid only after the last element.
        var isAtEnd: Bool { isFramed && rest.isEmpty }

        mutating func next() -> BSONElement? {
            guard let type = rest.first, let end = rest.dropFirst().firstIndex(of: 0) else { return nil }
            let key = rest[(rest.startIndex + 1)..<end]
            let values = rest[(end + 1)...]
            guard let size = BSONElement.size(of: type, UnsafeRawBufferPointer(rebasing: values)), size <= values.count else { return nil }
            rest = values.dropFirst(size)
            return BSONElement(type: type, keyBytes: key, value: UnsafeRawBufferPointer(rebasing: values.prefix(size)))
        }
    }

    func makeIterator() -> Iterator { Iterator(bytes) }
}

/// A key and its value, inside a ``BSONView``.
struct BSONElement {
    fileprivate let type: UInt8
    fileprivate let keyBytes: Slice<UnsafeRawBufferPointer>
    fileprivate let value: UnsafeRawBufferPointer

    var key: String { String(decoding: keyBytes, as: UTF8.self) }

    var string: String? {
        type == 0x02 ? String(validating: value.dropFirst(4).dropLast(), as: UTF8.self) : nil
    }

    /// Any number without a fraction.
    var integer: Int64? {
        switch type {
        case 0x10: Int64(value.loadUnaligned(as: Int32.self))
        case 0x12: value.loadUnaligned(as: Int64.self)
        case 0x01: Int64(exactly: value.loadUnaligned(as: Double.self))
        default: nil
        }
    }

    var boolean: Bool? { type == 0x08 ? value[0] != 0 : nil }

    var date: Timestamp? { type == 0x09 ? Timestamp(milliseconds: value.loadUnaligned(as: Int64.self)) : nil }

    /// The bytes of a binary value of the generic subtype. The subtype follows the length.
    var binary: [UInt8]? { type == 0x05 && value[4] == 0 ? Array(value.dropFirst(5)) : nil }

    /// A JSON scalar. `nil` for types that JSON does not produce.
    var scalar: JSONScalar? {
        switch type {
        case 0x01:
            let number = value.loadUnaligned(as: Double.self)
            return number.isFinite ? .double(number) : nil
        case 0x02: return string.map(JSONScalar.string)
        case 0x08: return .boolean(value[0] != 0)
        case 0x09: return date.map { JSONScalar.integer($0.milliseconds) }
        case 0x10, 0x12: return integer.map(JSONScalar.integer)
        case 0x0A: return .null
        default: return nil
        }
    }

    var isArray: Bool { type == 0x04 }

    func hasKey(_ bytes: some Collection<UInt8>) -> Bool { keyBytes.elementsEqual(bytes) }

    /// A document or an array.
    var document: BSONView? { type == 0x03 || type == 0x04 ? BSONView(value) : nil }

    /// Any value as JSON text. `nil` for types that JSON does not produce.
    var json: JSONText? {
        if type == 0x03 || type == 0x04 { return Self.json(value, isArray: type == 0x04) }
        // A scalar is converted as the only element of an array; then the brackets are removed.
        var array: [UInt8] = [0, 0, 0, 0, type, UInt8(ascii: "0"), 0]
        array.append(contentsOf: value)
        array.append(0)
        withUnsafeBytes(of: Int32(array.count).littleEndian) { array.replaceSubrange(0..<4, with: $0) }
        return array.withUnsafeBytes { Self.json($0, isArray: true) }.map { JSONText(normalised: String($0.text.dropFirst().dropLast())) }
    }

    private static func json(_ bytes: UnsafeRawBufferPointer, isArray: Bool) -> JSONText? {
        var count = 0
        guard let text = cmongoc_json_from_bson(bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count, isArray, &count) else {
            return nil
        }
        defer { bson_free(text) }
        return JSONText(normalised: String(decoding: UnsafeRawBufferPointer(start: text, count: count), as: UTF8.self))
    }

    /// The size in bytes of the value of this type that starts here.
    fileprivate static func size(of type: UInt8, _ bytes: UnsafeRawBufferPointer) -> Int? {
        func prefixed(_ extra: Int) -> Int? {
            guard bytes.count >= 4 else { return nil }
            let length = Int(Int32(littleEndian: bytes.loadUnaligned(as: Int32.self)))
            return length < 0 ? nil : length + extra
        }
        switch type {
        case 0x06, 0x0A, 0x7F, 0xFF: return 0
        case 0x08: return 1
        case 0x10: return 4
        case 0x01, 0x09, 0x11, 0x12: return 8
        case 0x07: return 12
        case 0x13: return 16
        case 0x02: return prefixed(4).flatMap { $0 >= 5 ? $0 : nil }
        case 0x03, 0x04: return prefixed(0).flatMap { $0 >= 5 ? $0 : nil }
        case 0x05: return prefixed(5)
        default: return nil
        }
    }
}
