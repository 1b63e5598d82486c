/// How many users complete the steps of a funnel, and how long the steps take.
public struct Funnel: Sendable, Equatable {
    public struct Step: Sendable, Equatable {
        public var users: Int64 = 0
        /// Of the time since the previous step; `nil` for the first step, and if no user reaches it.
        public var medianSeconds: Double?
        public var p90Seconds: Double?
    }

    public struct Group: Sendable, Equatable {
        public var key: GroupKey
        public var steps: [Step]
    }

    public var steps: [Step]
    /// In descending order of users in the first step; empty if the question does not group.
    public var groups: [Group]
    /// Users with a key that is not listed; `nil` if there are none.
    public var other: [Step]?

    /// The share of the first step's users.
    public static func shareOfFirst(_ steps: [Step], _ step: Int) -> Double? { share(steps, of: step, by: 0) }

    /// The share of the previous step's users.
    public static func shareOfPrevious(_ steps: [Step], _ step: Int) -> Double? { share(steps, of: step, by: max(0, step - 1)) }

    private static func share(_ steps: [Step], of step: Int, by other: Int) -> Double? {
        steps[other].users == 0 ? nil : Double(steps[step].users) / Double(steps[other].users)
    }

    /// Approximate bytes in memory.
    public var size: Int { 128 + (groups.count + 2) * steps.count * 48 + groups.reduce(0) { $0 + $1.key.size } }
}

public struct FunnelQuery: Sendable {
    public enum Order: String, Sendable, CaseIterable {
        case ordered
        case strict
        case any
    }

    /// An event that ends a path between two steps.
    public struct Exclusion: Sendable, Equatable {
        public var pattern: EventPattern
        /// The steps between which it does, numbered from 1.
        public var between: ClosedRange<Int>

        public init(_ pattern: EventPattern, between: ClosedRange<Int>) {
            self.pattern = pattern
            self.between = between
        }
    }

    public var selection: Selection
    public var steps: [EventPattern]
    public var order: Order
    public var windowSeconds: Int
    public var exclusions: [Exclusion]
    public var dimension: Dimension?
    /// Maximum number of groups listed.
    public var limit: Int

    public static let stepCounts = 2...10
    public static let exclusionLimit = 10
    public static let windows = 1...31_622_400
    public static let defaultWindow = 604_800
    public static let limits = 1...100
    public static let defaultLimit = 10

    public init(
        _ selection: Selection, steps: [EventPattern], order: Order = .ordered, windowSeconds: Int = Self.defaultWindow,
        exclusions: [Exclusion] = [], by dimension: Dimension? = nil, limit: Int = Self.defaultLimit
    ) {
        self.selection = selection
        self.steps = steps
        self.order = order
        self.windowSeconds = windowSeconds
        self.exclusions = exclusions
        self.dimension = dimension
        self.limit = limit
    }
}

extension FunnelQuery: RowQuestion {
    typealias Codec = FunnelCodec

    static let name = "funnel"

    var keyParts: [String] {
        var parts = [order.rawValue, String(windowSeconds), dimension?.text ?? "", String(limit), String(steps.count)]
        parts += steps.flatMap(\.keyParts)
        for exclusion in exclusions {
            parts += [String(exclusion.between.lowerBound), String(exclusion.between.upperBound)] + exclusion.pattern.keyParts
        }
        return parts
    }

    func accepts(_ answer: Funnel) -> Bool {
        guard answer.steps.count == steps.count, answer.groups.count <= limit else { return false }
        return dimension != nil || (answer.groups.isEmpty && answer.other == nil)
    }

    /// A path may continue after the range.
    func reading(over range: Range<Timestamp>) -> Reading {
        Reading(from: range.lowerBound, to: range.upperBound + .seconds(windowSeconds))
    }

    func reducer(over range: Range<Timestamp>) -> FunnelTally { FunnelTally(self, range) }
}

extension QueryEngine {
    /// The funnel of paths that begin in the range. The answer may be as old as `age` allows.
    public func funnel(_ query: FunnelQuery, _ age: AnswerAge, for asker: Asker) async throws -> Answered<Funnel> {
        try await recent(query.selection, [FunnelQuery.name] + query.keyParts, age, for: asker, size: \.size) {
            try await answer(to: query)
        }
    }
}

/// Cache format: the format number, the counts of steps and groups, the steps, each group, and the group of all others if present.
enum FunnelCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: Funnel) -> [UInt8] {
        var writer = TableWriter()
        writer.number(format)
        writer.number(Int64(answer.steps.count))
        writer.number(Int64(answer.groups.count))
        writer.steps(answer.steps)
        for group in answer.groups {
            writer.key(group.key)
            writer.steps(group.steps)
        }
        writer.number(answer.other == nil ? 0 : 1)
        if let other = answer.other { writer.steps(other) }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> Funnel {
        try TableCursor.answer(in: bytes, format: format) { (cursor) throws(GroupTable.Unreadable) in
            let (count, groups) = (try cursor.length(), try cursor.length())
            let steps = try cursor.steps(count)
            let named = try (0..<groups).map { (_) throws(GroupTable.Unreadable) in
                Funnel.Group(key: try cursor.key(), steps: try cursor.steps(count))
            }
            let other: [Funnel.Step]? =
                switch try cursor.number() {
                case 0: nil
                case 1: try cursor.steps(count)
                default: throw .damaged
                }
            return Funnel(steps: steps, groups: named, other: other)
        }
    }
}

extension TableWriter {
    fileprivate mutating func steps(_ steps: [Funnel.Step]) {
        for step in steps {
            number(step.users)
            for value in [step.medianSeconds, step.p90Seconds] { self.value(value.map { .double($0) } ?? .none) }
        }
    }
}

extension TableCursor {
    fileprivate mutating func steps(_ count: Int) throws(GroupTable.Unreadable) -> [Funnel.Step] {
        var steps: [Funnel.Step] = []
        for index in 0..<count {
            let users = try self.count()
            // A user who reaches a step has reached all steps before it.
            guard users <= steps.last?.users ?? users else { throw .damaged }
            let isTimed = index > 0 && users > 0
            steps.append(Funnel.Step(users: users, medianSeconds: try seconds(isTimed), p90Seconds: try seconds(isTimed)))
        }
        return steps
    }

    private mutating func seconds(_ isTimed: Bool) throws(GroupTable.Unreadable) -> Double? {
        switch try value() {
        case .none where !isTimed: return nil
        case .double(let value) where isTimed && value >= 0 && value <= Double(FunnelQuery.windows.upperBound): return value
        default: throw .damaged
        }
    }
}
