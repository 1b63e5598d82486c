internal import CSimdJSON

/// Reads the scalars at paths of JSON texts without creating other Swift values. One thread at a time.
///
/// A path is a list of keys. An array stands for its elements, along the path and at its end; a nested array does not. Keys are compared
/// by their bytes.
public final class JSONValueReader {
    private let reader: OpaquePointer

    public init(paths: [[String]]) {
        reader = cjson_reader_new()
        for path in paths {
            added(cjson_reader_add_path(reader))
            for key in path { key.added { cjson_reader_add_key(reader, $0, $1) } }
        }
    }

    deinit {
        cjson_reader_free(reader)
    }

    /// Passes on the scalars of each path in turn, in the order of the text; `path` is the index in the list of paths. Throws if the
    /// text is not JSON.
    public func read(_ text: PaddedBytes, _ body: (_ path: Int, JSONScalar) -> Void) throws(JSONFault) {
        var values: UnsafePointer<cjson_value>?
        var count = 0
        let status = text.withPointer(at: text.all) { cjson_reader_read(reader, $0, text.count, &values, &count) }
        guard status == CJSON_OK else { throw JSONFault(code: JSONFault.Code(status)) }
        for value in UnsafeBufferPointer(start: values, count: count) { body(Int(value.path), JSONScalar(value)) }
    }
}

extension JSONScalar {
    fileprivate init(_ value: cjson_value) {
        switch value.kind {
        case CJSON_STRING:
            self = .string(String(decoding: UnsafeRawBufferPointer(start: value.text.bytes, count: value.text.length), as: UTF8.self))
        case CJSON_INTEGER: self = .integer(value.integer)
        case CJSON_DOUBLE: self = .double(value.number)
        case CJSON_BOOL: self = .boolean(value.boolean)
        default: self = .null
        }
    }
}
