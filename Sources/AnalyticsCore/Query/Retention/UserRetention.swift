/// The number of users of each period who came back in later periods.
public struct UserRetention: Sendable, Equatable {
    public struct Cohort: Sendable, Equatable {
        public var size: Int64
        /// By period, starting with the cohort's own.
        public var values: [Int64]
    }

    public var cohorts: [Cohort]

    /// Approximate bytes in memory.
    public var size: Int { cohorts.reduce(64) { $0 + 48 + $1.values.count * 8 } }
}

public struct RetentionQuery: Sendable {
    public enum Mode: String, Sendable, CaseIterable {
        case on
        case onOrAfter = "on_or_after"
        case unbounded
    }

    public var selection: Selection
    public var first: EventPattern
    /// Whether only the first of all stored events counts as a first event.
    public var firstEver: Bool
    public var returning: EventPattern
    public var mode: Mode
    /// The number of periods per cohort.
    public let periods: Int
    /// In ascending order: the starts of the cohorts, the starts of the periods after them, and the end of the last period.
    public let starts: [Timestamp]

    public static let periodCounts = 1...100
    public static let defaultPeriods = 8
    public static let cohortLimit = 500

    /// - Precondition: The selection has a range, and `starts` has its buckets and `periods` more.
    public init(
        _ selection: Selection, first: EventPattern, firstEver: Bool, returning: EventPattern, mode: Mode, periods: Int, starts: [Timestamp]
    ) {
        self.selection = selection
        self.first = first
        self.firstEver = firstEver
        self.returning = returning
        self.mode = mode
        self.periods = periods
        self.starts = starts
    }

    var cohorts: Int { starts.count - periods }
}

extension RetentionQuery: RowQuestion {
    typealias Codec = RetentionCodec

    static let name = "retention"

    var keyParts: [String] {
        [firstEver ? "ever" : "any", mode.rawValue, String(periods), String(starts.count)] + starts.map { String($0.milliseconds) }
            + first.keyParts + returning.keyParts
    }

    func accepts(_ answer: UserRetention) -> Bool {
        answer.cohorts.count == cohorts && answer.cohorts.allSatisfy { $0.values.count == periods }
    }

    func reading(over range: Range<Timestamp>) -> Reading {
        Reading(from: firstEver ? nil : starts.first, to: mode == .unbounded ? nil : starts.last)
    }

    func reducer(over range: Range<Timestamp>) -> RetentionTally { RetentionTally(self, range) }
}

extension QueryEngine {
    /// The cohorts of the range. The answer may be as old as `age` allows.
    public func retention(_ query: RetentionQuery, _ age: AnswerAge, for asker: Asker) async throws -> Answered<UserRetention> {
        try await recent(query.selection, [RetentionQuery.name] + query.keyParts, age, for: asker, size: \.size) {
            try await answer(to: query)
        }
    }
}

/// Cache format: the format number, the counts of cohorts and periods, then the size and the values of each cohort.
enum RetentionCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: UserRetention) -> [UInt8] {
        var writer = TableWriter()
        writer.number(format)
        writer.number(Int64(answer.cohorts.count))
        writer.number(Int64(answer.cohorts.first?.values.count ?? 0))
        for cohort in answer.cohorts {
            writer.number(cohort.size)
            for value in cohort.values { writer.number(value) }
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> UserRetention {
        try TableCursor.answer(in: bytes, format: format) { (cursor) throws(GroupTable.Unreadable) in
            let (cohorts, periods) = (try cursor.length(), try cursor.length())
            return UserRetention(
                cohorts: try (0..<cohorts).map { (_) throws(GroupTable.Unreadable) in
                    let size = try cursor.count()
                    let values = try (0..<periods).map { (_) throws(GroupTable.Unreadable) in
                        let value = try cursor.count()
                        guard value <= size else { throw .damaged }
                        return value
                    }
                    return UserRetention.Cohort(size: size, values: values)
                })
        }
    }
}
