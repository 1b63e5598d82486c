/// The events of users after, or before, an event.
public struct Paths: Sendable, Equatable {
    public struct Count: Sendable, Equatable {
        public var paths: Int64 = 0
        /// Distinct users.
        public var users: Int64 = 0
    }

    public struct Node: Sendable, Equatable {
        public var key: GroupKey
        public var count: Count
    }

    /// From the earlier key to the later one.
    public struct Edge: Sendable, Equatable {
        public var from: GroupKey
        public var to: GroupKey
        public var count: Count
    }

    public struct Step: Sendable, Equatable {
        /// Paths with this step.
        public var count = Count()
        /// In descending order of paths.
        public var nodes: [Node] = []
        /// Paths with a key that is not listed.
        public var otherNodes: Int64 = 0
        /// Between this step and the previous one, in descending order of paths.
        public var edges: [Edge] = []
        /// Paths with an edge that is not listed.
        public var otherEdges: Int64 = 0
    }

    /// In order from where the paths begin.
    public var steps: [Step]

    /// Approximate bytes in memory.
    public var size: Int {
        steps.reduce(64) { size, step in
            size + 128 + step.nodes.reduce(0) { $0 + $1.key.size + 24 } + step.edges.reduce(0) { $0 + $1.from.size + $1.to.size + 24 }
        }
    }
}

public struct PathsQuery: Sendable {
    /// The events that can belong to one path.
    public enum Scope: Sendable, Equatable {
        /// A session. Without a session id, a pause is at most this many minutes.
        case session(gapMinutes: Int)
        /// A user's events within this many seconds.
        case window(seconds: Int)
    }

    public var selection: Selection
    /// The event types at which paths begin: any of them.
    public var origins: [String]
    /// Whether paths go backward in time.
    public var isBackward: Bool
    /// The number of steps in addition to the first event.
    public var steps: Int
    public var dimension: Dimension
    /// Maximum number of nodes and edges listed per step.
    public var limit: Int
    public var scope: Scope

    public static let stepCounts = 1...5
    public static let defaultSteps = 5
    public static let limits = 1...100
    public static let defaultLimit = 10
    public static let windows = FunnelQuery.windows

    public init(
        _ selection: Selection, from origins: [String], isBackward: Bool = false, steps: Int = Self.defaultSteps,
        by dimension: Dimension = .type, limit: Int = Self.defaultLimit,
        within scope: Scope = .usual
    ) {
        self.selection = selection
        self.origins = origins
        self.isBackward = isBackward
        self.steps = steps
        self.dimension = dimension
        self.limit = limit
        self.scope = scope
    }
}

extension PathsQuery.Scope {
    public static let usual = Self.session(gapMinutes: SessionCutter.defaultGap)

    fileprivate var keyParts: [String] {
        switch self {
        case .session(let minutes): ["session", String(minutes)]
        case .window(let seconds): ["window", String(seconds)]
        }
    }
}

extension PathsQuery: RowQuestion {
    typealias Codec = PathsCodec

    static let name = "paths"

    var keyParts: [String] {
        [isBackward ? "end" : "start", String(steps), dimension.text, String(limit)] + scope.keyParts
            + origins.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    func accepts(_ answer: Paths) -> Bool {
        answer.steps.count == steps + 1 && answer.steps.allSatisfy { $0.nodes.count <= limit && $0.edges.count <= limit }
    }

    /// Sessions are read as for ``SessionsQuery``. With a window, a path may extend beyond the range.
    func reading(over range: Range<Timestamp>) -> Reading {
        switch scope {
        case .session:
            let longest = Duration.milliseconds(SessionCutter.longest)
            return Reading(from: range.lowerBound - longest, to: range.upperBound + longest)
        case .window(let seconds):
            return isBackward
                ? Reading(from: range.lowerBound - .seconds(seconds), to: range.upperBound)
                : Reading(from: range.lowerBound, to: range.upperBound + .seconds(seconds))
        }
    }

    func reducer(over range: Range<Timestamp>) -> PathsTally { PathsTally(self, range) }
}

extension QueryEngine {
    /// The paths of the range. The answer may be as old as `age` allows.
    public func paths(_ query: PathsQuery, _ age: AnswerAge, for asker: Asker) async throws -> Answered<Paths> {
        try await recent(query.selection, [PathsQuery.name] + query.keyParts, age, for: asker, size: \.size) {
            try await answer(to: query)
        }
    }
}

/// Cache format: the format number and the count of steps. Per step: its count, then the nodes and the edges, each with their number
/// first and the paths of the others last.
enum PathsCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: Paths) -> [UInt8] {
        var writer = TableWriter()
        writer.number(format)
        writer.number(Int64(answer.steps.count))
        for step in answer.steps {
            writer.count(step.count)
            writer.number(Int64(step.nodes.count))
            for node in step.nodes {
                writer.key(node.key)
                writer.count(node.count)
            }
            writer.number(step.otherNodes)
            writer.number(Int64(step.edges.count))
            for edge in step.edges {
                writer.key(edge.from)
                writer.key(edge.to)
                writer.count(edge.count)
            }
            writer.number(step.otherEdges)
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> Paths {
        try TableCursor.answer(in: bytes, format: format) { (cursor) throws(GroupTable.Unreadable) in
            var steps: [Paths.Step] = []
            for _ in 0..<(try cursor.length()) {
                let step = try cursor.step()
                // Each path has a node at each of its steps, and an edge to each step except the first.
                let (nodes, edges) = (step.nodes.map(\.count), step.edges.map(\.count))
                guard step.count.paths == sum(nodes, step.otherNodes),
                    sum(edges, step.otherEdges) == (steps.isEmpty ? 0 : step.count.paths),
                    step.count.paths <= steps.last?.count.paths ?? .max
                else { throw .damaged }
                steps.append(step)
            }
            return Paths(steps: steps)
        }
    }

    private static func sum(_ counts: [Paths.Count], _ others: Int64) -> Int64 { counts.reduce(others) { $0 &+ $1.paths } }
}

extension TableWriter {
    fileprivate mutating func count(_ count: Paths.Count) {
        number(count.paths)
        number(count.users)
    }
}

extension TableCursor {
    fileprivate mutating func step() throws(GroupTable.Unreadable) -> Paths.Step {
        var step = Paths.Step()
        step.count = try pathCount()
        step.nodes = try (0..<length()).map { (_) throws(GroupTable.Unreadable) in
            Paths.Node(key: try key(), count: try pathCount())
        }
        step.otherNodes = try count()
        step.edges = try (0..<length()).map { (_) throws(GroupTable.Unreadable) in
            Paths.Edge(from: try key(), to: try key(), count: try pathCount())
        }
        step.otherEdges = try count()
        return step
    }

    private mutating func pathCount() throws(GroupTable.Unreadable) -> Paths.Count {
        let count = Paths.Count(paths: try self.count(), users: try self.count())
        guard count.users <= count.paths, (count.users == 0) == (count.paths == 0) else { throw .damaged }
        return count
    }
}
