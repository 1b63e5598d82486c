package import AnalyticsJSON

/// Tells whether the conditions of a selection hold for an event's `data`. For stores that have no matcher of their own. Not thread-safe.
package struct DataMatcher {
    private let matcher = JSONMatcher()

    package init(_ conditions: [DataCondition]) {
        for condition in conditions {
            matcher.require(path: condition.path, anyOf: condition.values.flatMap(DataCondition.scalars(of:)))
        }
    }

    package var isEmpty: Bool { matcher.isEmpty }

    /// Throws only when memory cannot be allocated.
    package func matches(_ text: String?) throws(JSONFault) -> Bool {
        if isEmpty { return true }
        return try matches(json: text.map { PaddedBytes($0) })
    }

    package func matches(json text: PaddedBytes?) throws(JSONFault) -> Bool {
        if isEmpty { return true }
        guard let text else { return false }
        return try matcher.matches(text)
    }
}
