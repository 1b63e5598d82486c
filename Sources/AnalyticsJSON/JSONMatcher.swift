internal import CSimdJSON

/// Checks conditions on paths of JSON texts without creating Swift values. One thread at a time.
///
/// A condition holds if one of its values is at the end of its path. An array stands for its elements, along the path and at its end; a
/// nested array does not. Strings and keys are compared by their bytes, numbers by their exact value.
public final class JSONMatcher {
    private let matcher: OpaquePointer
    public private(set) var isEmpty = true

    public init() {
        matcher = cjson_matcher_new()
    }

    deinit {
        cjson_matcher_free(matcher)
    }

    /// Adds a condition; all of them must hold.
    public func require(path: [String], anyOf values: [JSONScalar]) {
        isEmpty = false
        added(cjson_matcher_add_condition(matcher))
        for key in path { key.added { cjson_matcher_add_key(matcher, $0, $1) } }
        for value in values {
            switch value {
            case .string(let string): string.added { cjson_matcher_add_string(matcher, $0, $1) }
            case .integer(let integer): added(cjson_matcher_add_integer(matcher, integer))
            case .double(let double): added(cjson_matcher_add_double(matcher, double))
            case .boolean(let boolean): cjson_matcher_add_boolean(matcher, boolean)
            case .null: cjson_matcher_add_null(matcher)
            }
        }
    }

    /// `false` for a text that is not JSON. Throws only if memory is exhausted.
    public func matches(_ text: PaddedBytes) throws(JSONFault) -> Bool {
        var matches = false
        let status = text.withPointer(at: text.all) { cjson_matcher_match(matcher, $0, text.count, &matches) }
        guard status != CJSON_MEMORY else { throw JSONFault(code: .memory) }
        return matches
    }
}

/// A condition or a path takes a few hundred bytes: if they cannot be allocated, the process cannot continue.
func added(_ status: cjson_status) {
    precondition(status == CJSON_OK)
}

extension String {
    /// Passes the string's bytes to `add`.
    func added(_ add: (UnsafePointer<CChar>?, Int) -> cjson_status) {
        var text = self
        let status = text.withUTF8 { utf8 in
            utf8.withMemoryRebound(to: CChar.self) { chars in add(chars.baseAddress, chars.count) }
        }
        AnalyticsJSON.added(status)
    }
}
