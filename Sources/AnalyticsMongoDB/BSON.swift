import AnalyticsCore
import AnalyticsJSON
import CMongoShims

/// A value to be encoded as BSON: filters, pipelines and documents are built from these. A client's input is always a value in them,
/// never an operator.
enum BSON: Sendable {
    case string(String)
    case integer(Int64)
    case double(Double)
    case boolean(Bool)
    case date(Timestamp)
    case null
    case binary([UInt8])
    /// Greater than every other value.
    case maxKey
    /// A client's JSON text. Keys with `$` and `.` are kept unchanged; nothing in it is interpreted.
    case json(JSONText)
    case document([(String, BSON)])
    case array([BSON])
}

extension BSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    init(stringLiteral value: String) { self = .string(value) }
    init(integerLiteral value: Int64) { self = .integer(value) }
    init(booleanLiteral value: Bool) { self = .boolean(value) }
    init(arrayLiteral elements: BSON...) { self = .array(elements) }
    init(dictionaryLiteral elements: (String, BSON)...) { self = .document(elements) }
}

/// An encoded document: owns a `bson_t`.
final class BSONDocument {
    private let pointer: OpaquePointer

    /// `nil` if a value does not fit into BSON: JSON nested too deep, a key with a NUL, or too many bytes.
    init?(_ fields: [(String, BSON)]) {
        pointer = bson_new()
        for (key, value) in fields {
            guard Self.append(value, to: pointer, as: key) else { return nil }
        }
    }

    /// An array as libmongoc takes a pipeline: a document with the keys "0", "1", ….
    convenience init?(pipeline stages: [BSON]) {
        self.init(stages.enumerated().map { (String($0.offset), $0.element) })
    }

    /// A list of documents that are already encoded.
    init?(documents: [[UInt8]]) {
        guard let pointer = bson_new() else { return nil }
        self.pointer = pointer
        for (index, bytes) in documents.enumerated() {
            guard let document = bson_new_from_data(bytes, bytes.count) else { return nil }
            defer { bson_destroy(document) }
            guard bson_append_document(pointer, String(index), -1, document) else { return nil }
        }
    }

    deinit {
        bson_destroy(pointer)
    }

    /// The pointer is valid inside `body` only.
    func withPointer<Result, Failure: Error>(_ body: (OpaquePointer) throws(Failure) -> Result) throws(Failure) -> Result {
        defer { withExtendedLifetime(self) {} }
        return try body(pointer)
    }

    /// Bytes of the encoded document.
    var count: Int { Int(cmongoc_length(pointer)) }

    var bytes: [UInt8] { Array(UnsafeRawBufferPointer(start: bson_get_data(pointer), count: count)) }

    private static func append(_ value: BSON, to document: OpaquePointer, as key: String) -> Bool {
        // Explicit lengths, so that a NUL inside a string does not truncate it.
        let length = Int32(key.utf8.count)
        return switch value {
        case .string(let string): bson_append_utf8(document, key, length, string, Int32(string.utf8.count))
        case .integer(let integer): bson_append_int64(document, key, length, integer)
        case .double(let double): bson_append_double(document, key, length, double)
        case .boolean(let boolean): bson_append_bool(document, key, length, boolean)
        case .date(let time): bson_append_date_time(document, key, length, time.milliseconds)
        case .null: bson_append_null(document, key, length)
        case .binary(let bytes): bson_append_binary(document, key, length, BSON_SUBTYPE_BINARY, bytes, UInt32(bytes.count))
        case .maxKey: bson_append_maxkey(document, key, length)
        case .json(let json): cmongoc_append_json(document, key, key.utf8.count, json.text, json.text.utf8.count)
        case .document(let fields):
            BSONDocument(fields)?.withPointer { bson_append_document(document, key, length, $0) } ?? false
        case .array(let elements):
            BSONDocument(pipeline: elements)?.withPointer { bson_append_array(document, key, length, $0) } ?? false
        }
    }
}
