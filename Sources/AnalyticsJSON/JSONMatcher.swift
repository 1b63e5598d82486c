internal import CSimdJSON

/// Tells whether conditions on paths hold for JSON texts. Nothing of a text becomes a Swift value. One thread at a time.
///
/// A condition holds when one of its values stands at the end of its path. An array stands for its elements, on the way and at the end, but
/// not one inside another. Strings and keys are compared by their bytes, numbers by what they are worth, exactly.
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

    /// `false` for a text that is not JSON. Throws for want of memory only.
    public func matches(_ text: PaddedBytes) throws(JSONFault) -> Bool {
        var matches = false
        let status = text.withPointer(at: text.all) { cjson_matcher_match(matcher, $0, text.count, &matches) }
        guard status != CJSON_MEMORY else { throw JSONFault(code: .memory) }
        return matches
    }
}

/// A condition or a path is a few hundred bytes: without these nothing else would go on either.
func added(_ status: cjson_status) {
    precondition(status == CJSON_OK)
}

extension String {
    /// Hands its bytes over.
    func added(_ add: (UnsafePointer<CChar>?, Int) -> cjson_status) {
        var text = self
        let status = text.withUTF8 { utf8 in
            utf8.withMemoryRebound(to: CChar.self) { chars in add(chars.baseAddress, chars.count) }
        }
        AnalyticsJSON.added(status)
    }
}
