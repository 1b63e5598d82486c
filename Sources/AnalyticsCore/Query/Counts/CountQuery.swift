/// A question for the number of events, by type or by source.
@dynamicMemberLookup
public struct CountQuery: Sendable, Equatable {
    public enum Grouping: String, Sendable, CaseIterable {
        case type
        case source
    }

    public var selection: Selection
    public var grouping: Grouping
    /// Maximum number of groups that the answer names, within ``limits``.
    public var limit: Int

    public static let limits = 1...10_000
    public static let defaultLimit = 1_000

    public init(_ selection: Selection, grouping: Grouping = .type, limit: Int = Self.defaultLimit) {
        self.selection = selection
        self.grouping = grouping
        self.limit = limit
    }

    public subscript<Value>(dynamicMember member: WritableKeyPath<Selection, Value>) -> Value {
        get { selection[keyPath: member] }
        set { selection[keyPath: member] = newValue }
    }
}

extension CountQuery: Question {
    typealias Codec = CountsCodec

    static let name = "counts"

    var keyParts: [String] { [grouping.rawValue, String(limit)] }

    func reducer(over range: Range<Timestamp>) -> CountTally { CountTally(self) }
}

extension QueryEngine {
    /// The counts, and whether they came from the cache. Throws an ``ExpiredRangeError`` if the range cuts a minute whose events may
    /// have been deleted, and a ``QueryTooLargeError`` if the answer exceeds the limits.
    public func counts(_ query: CountQuery, for asker: Asker = .staying) async throws -> (counts: Counts, cached: Bool) {
        let (counts, isCached) = try await answer(to: query, for: asker)
        return (counts, isCached)
    }
}
