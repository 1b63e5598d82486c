/// A question for the number of a project's stored events by the time of their receipt, in UTC months and days.
public struct UsageQuery: Sendable, Equatable {
    public let project: ProjectID
    /// The first and the last month.
    public let months: ClosedRange<CivilMonth>

    public static let maximumMonths: Int64 = 120
    public static let defaultMonths: Int64 = 12

    /// `nil` if `from` is later than `to`, or the months are more than ``maximumMonths``.
    ///
    /// - Parameters:
    ///   - from: By default the month ``defaultMonths`` - 1 months before `to`.
    ///   - to: The last month; by default that of `now`.
    public init?(project: ProjectID, from: CivilMonth? = nil, to: CivilMonth? = nil, at now: Timestamp) {
        let last = to ?? CivilMonth(of: now)
        let first = from ?? last.advanced(by: 1 - Self.defaultMonths)
        guard first <= last, first.distance(to: last) < Self.maximumMonths else { return nil }
        self.project = project
        months = first...last
    }

    /// UTC days since 1970.
    var days: Range<Int64> { months.lowerBound.days.lowerBound..<months.upperBound.days.upperBound }
}

/// The answer to a ``UsageQuery``.
public struct Usage: Sendable, Equatable {
    public struct Day: Sendable, Equatable {
        /// Since 1970.
        public var day: Int64
        /// At least one.
        public var events: Int64
    }

    public struct Month: Sendable, Equatable {
        public var month: CivilMonth
        public var events: Int64
        /// Those with events, in ascending order.
        public var days: [Day]
    }

    /// The events of all months.
    public var total: Int64
    /// All months of the question, in ascending order.
    public var months: [Month]

    /// Approximate bytes in memory.
    public var size: Int { months.reduce(0) { $0 + 64 + 24 * $1.days.count } }
}

extension QueryEngine {
    /// Reads a table of some bytes per day that has events, of all time: an event may be received long after its time. The answer is not
    /// cached.
    public func usage(_ query: UsageQuery, for asker: Asker = .staying) async throws -> Usage {
        try await read(Selection(project: query.project), into: UsageTally(query), for: asker)
    }
}
