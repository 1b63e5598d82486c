/// A JSON value other than an object or an array.
public enum JSONScalar: Sendable, Hashable {
    case string(String)
    case integer(Int64)
    case double(Double)
    case boolean(Bool)
    case null
}
