internal import CSimdJSON

/// Why a text is not the expected JSON.
public struct JSONFault: Error, Equatable {
    public enum Code: Sendable, Equatable {
        case syntax
        case utf8
        case depth
        case duplicateKey
        case nulInKey
        case number
        case notObject
        case memory
    }

    public var code: Code
    /// The top-level key of the value with the fault, if known.
    public var key: String?

    public init(code: Code, key: String? = nil) {
        self.code = code
        self.key = key
    }
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
