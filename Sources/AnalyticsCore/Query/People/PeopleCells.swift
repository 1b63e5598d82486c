/// The users at a step of a funnel.
public struct FunnelCell: PeopleCell {
    /// From 1.
    public var step: Int
    /// Whether the cell is the users who reach the previous step, but not this one.
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

/// The users of a cohort, or of one of its periods.
public struct RetentionCell: PeopleCell {
    public var cohort: Int
    /// `nil`: the whole cohort.
    public var period: Int?
    /// Whether the cell is the users who did not come back.
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

/// The users in a state in a bucket.
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

/// The users with events in a number of buckets.
public struct StickinessCell: PeopleCell {
    /// From 1.
    public var count: Int
    /// Whether more buckets count too.
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

/// The users whose paths have a step, a node or an edge.
public struct PathsCell: PeopleCell {
    public enum What: Sendable {
        case step
        case node(GroupKey)
        /// In order of time.
        case edge(from: GroupKey, to: GroupKey)
    }

    /// From 0, the start of the paths.
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

/// The users with events in a bucket.
public struct UniquesCell: PeopleCell {
    /// `nil`: the whole range.
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
    /// Throws the errors of the question.
    ///
    /// - Parameter range: The range of the events described for each user.
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

    /// - Precondition: The metric is users, and there is no dimension.
    public func people(
        behind cell: UniquesCell, of query: TimeseriesQuery, in range: Range<Timestamp>, _ page: PeoplePage, _ age: AnswerAge,
        for asker: Asker
    ) async throws -> Answered<People> {
        try await people(PeopleQuery(base: RowTimeseries(query: query), cell: cell, range: range, page: page), age, for: asker)
    }
}
