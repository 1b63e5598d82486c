import AnalyticsCore
import AnalyticsJSON

/// Tells whether the conditions of a listing hold for an event's `data`. One thread at a time.
struct SQLiteDataMatcher {
    private let matcher = JSONMatcher()

    init(_ conditions: [DataCondition]) {
        for condition in conditions {
            matcher.require(path: condition.path, anyOf: condition.values.flatMap(DataCondition.scalars(of:)).map(JSONMatcher.Scalar.init))
        }
    }

    var isEmpty: Bool { matcher.isEmpty }

    func matches(_ text: String?) throws(JSONFault) -> Bool {
        if isEmpty { return true }
        guard let text else { return false }
        return try matcher.matches(PaddedBytes(text))
    }
}

extension JSONMatcher.Scalar {
    fileprivate init(_ scalar: DataCondition.Scalar) {
        self =
            switch scalar {
            case .string(let string): .string(string)
            case .integer(let integer): .integer(integer)
            case .double(let double): .double(double)
            case .boolean(let boolean): .boolean(boolean)
            case .null: .null
            }
    }
}
