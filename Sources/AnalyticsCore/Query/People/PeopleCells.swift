/// Who is behind a step of a funnel.
public struct FunnelCell: PeopleCell {
    /// From 1.
    public var step: Int
    /// Whether those are meant who reach the step before it, and not it.
    public var isDropped: Bool

    public init(step: Int, isDropped: Bool) {
        self.step = step
        self.isDropped = isDropped
    }

    var keyParts: [String] { [String(step), isDropped ? "dropped" : ""] }
}

extension FunnelQuery: PeopleQuestion {}

extension FunnelTally: PeopleReducer {
    func users(behind cell: FunnelCell) -> Int64 {
        cell.isDropped ? users(reaching: cell.step - 1) - users(reaching: cell.step) : users(reaching: cell.step)
    }
}

/// Who is behind a cohort, or a number of it.
public struct RetentionCell: PeopleCell {
    public var cohort: Int
    /// `nil`: all of the cohort.
    public var period: Int?
    /// Whether those are meant who did not come back.
    public var isDropped: Bool

    public init(cohort: Int, period: Int?, isDropped: Bool) {
        self.cohort = cohort
        self.period = period
        self.isDropped = isDropped
    }

    var keyParts: [String] { [String(cohort), period.map { String($0) } ?? "", isDropped ? "dropped" : ""] }
}

extension RetentionQuery: PeopleQuestion {}

extension RetentionTally: PeopleReducer {
    func users(behind cell: RetentionCell) -> Int64 {
        guard let period = cell.period else { return size(of: cell.cohort) }
        let users = users(of: cell.cohort, in: period)
        return cell.isDropped ? size(of: cell.cohort) - users : users
    }
}

/// Who is in a state in a bucket.
public struct LifecycleCell: PeopleCell {
    public var bucket: Int
    public var state: Lifecycle.State

    public init(bucket: Int, state: Lifecycle.State) {
        self.bucket = bucket
        self.state = state
    }

    var keyParts: [String] { [String(bucket), state.rawValue] }
}

extension LifecycleQuery: PeopleQuestion {}

extension LifecycleTally: PeopleReducer {
    func users(behind cell: LifecycleCell) -> Int64 { users(cell.state, in: cell.bucket) }
}

/// Who was there in a number of buckets.
public struct StickinessCell: PeopleCell {
    /// From 1.
    public var count: Int
    /// Whether more of them will do.
    public var isAtLeast: Bool

    public init(count: Int, isAtLeast: Bool) {
        self.count = count
        self.isAtLeast = isAtLeast
    }

    var keyParts: [String] { [String(count), isAtLeast ? "more" : ""] }
}

extension StickinessQuery: PeopleQuestion {}

extension StickinessTally: PeopleReducer {
    func users(behind cell: StickinessCell) -> Int64 { cell.isAtLeast ? users(inAtLeast: cell.count) : users(in: cell.count) }
}

/// Whose paths have a step.
public struct PathsCell: PeopleCell {
    public enum What: Sendable {
        case step
        case node(GroupKey)
        /// In the order of time.
        case edge(from: GroupKey, to: GroupKey)
    }

    /// From 0, where paths begin.
    public var step: Int
    public var what: What

    public init(step: Int, _ what: What) {
        self.step = step
        self.what = what
    }

    var keyParts: [String] {
        switch what {
        case .step: [String(step)]
        case .node(let key): [String(step), key.keyPart]
        case .edge(let from, let to): [String(step), from.keyPart, to.keyPart]
        }
    }
}

extension PathsQuery: PeopleQuestion {}

extension PathsTally: PeopleReducer {
    func users(behind cell: PathsCell) -> Int64 {
        switch cell.what {
        case .step: users(at: cell.step)
        case .node(let key): users(at: cell.step, key: key)
        case .edge(let from, let to): users(at: cell.step, edge: (from, to))
        }
    }
}

/// Who was there in a bucket.
public struct UniquesCell: PeopleCell {
    /// `nil`: in the whole range.
    public var bucket: Int?

    public init(bucket: Int?) {
        self.bucket = bucket
    }

    var keyParts: [String] { [bucket.map { String($0) } ?? ""] }
}

extension RowTimeseries: PeopleQuestion {}

extension RowTimeseriesTally: PeopleReducer {
    func users(behind cell: UniquesCell) -> Int64 { users(in: cell.bucket) }
}

extension QueryEngine {
    /// Throws what the question throws.
    ///
    /// - Parameter range: Of which events of each user are told.
    public func people(
        behind cell: FunnelCell, of query: FunnelQuery, in range: Range<Timestamp>, _ page: PeoplePage, _ age: AnswerAge, for asker: Asker
    ) async throws -> Answered<People> {
        try await people(PeopleQuery(base: query, cell: cell, range: range, page: page), age, for: asker)
    }

    public func people(
        behind cell: RetentionCell, of query: RetentionQuery, in range: Range<Timestamp>, _ page: PeoplePage, _ age: AnswerAge,
        for asker: Asker
    ) async throws -> Answered<People> {
        try await people(PeopleQuery(base: query, cell: cell, range: range, page: page), age, for: asker)
    }

    public func people(
        behind cell: LifecycleCell, of query: LifecycleQuery, in range: Range<Timestamp>, _ page: PeoplePage, _ age: AnswerAge,
        for asker: Asker
    ) async throws -> Answered<People> {
        try await people(PeopleQuery(base: query, cell: cell, range: range, page: page), age, for: asker)
    }

    public func people(
        behind cell: StickinessCell, of query: StickinessQuery, in range: Range<Timestamp>, _ page: PeoplePage, _ age: AnswerAge,
        for asker: Asker
    ) async throws -> Answered<People> {
        try await people(PeopleQuery(base: query, cell: cell, range: range, page: page), age, for: asker)
    }

    public func people(
        behind cell: PathsCell, of query: PathsQuery, in range: Range<Timestamp>, _ page: PeoplePage, _ age: AnswerAge, for asker: Asker
    ) async throws -> Answered<People> {
        try await people(PeopleQuery(base: query, cell: cell, range: range, page: page), age, for: asker)
    }

    /// - Precondition: The metric is users, and nothing is grouped by.
    public func people(
        behind cell: UniquesCell, of query: TimeseriesQuery, in range: Range<Timestamp>, _ page: PeoplePage, _ age: AnswerAge,
        for asker: Asker
    ) async throws -> Answered<People> {
        try await people(PeopleQuery(base: RowTimeseries(query: query), cell: cell, range: range, page: page), age, for: asker)
    }
}
