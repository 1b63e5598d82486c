/// Counts paths by the keys of their steps, and by pairs of consecutive keys.
struct PathsTally: RowReducer {
    private struct Node: Hashable {
        var step: Int32
        var key: Int32
    }

    /// From the key of the previous step to the key of this step.
    private struct Edge: Hashable {
        var step: Int32
        var before: Int32
        var key: Int32
    }

    private struct Tally {
        var count = Paths.Count()
        /// The last actor counted.
        var actor: Int32 = 0

        mutating func add(_ actor: Int32) {
            count.paths += 1
            guard self.actor != actor else { return }
            self.actor = actor
            count.users += 1
        }
    }

    private let query: PathsQuery
    private let range: Range<Int64>
    private let matcher: EventMatcher
    private let walk: PathWalk
    private var keys: [GroupKey] = [.null]
    private var keyNumbers: [GroupKey: Int32] = [.null: 0]
    private var events = SessionEvents(byteLimit: Self.byteLimit)
    private var actor: Int32 = 0
    private var steps: [Tally]
    private var nodes: [Node: Tally] = [:]
    private var edges: [Edge: Tally] = [:]
    private var keyBytes = 0

    /// Maximum bytes of keys, nodes and edges, and of one user's events.
    static let byteLimit = 96 << 20

    init(_ query: PathsQuery, _ range: Range<Timestamp>) {
        self.query = query
        self.range = range.lowerBound.milliseconds..<range.upperBound.milliseconds
        matcher = EventMatcher([EventPattern(types: query.origins)])
        var window = Int64.max
        if case .window(let seconds) = query.scope { window = Int64(seconds) * 1_000 }
        walk = PathWalk(steps: query.steps, isBackward: query.isBackward, window: window)
        steps = Array(repeating: Tally(), count: query.steps + 1)
    }

    private var gap: Int64? { if case .session(let minutes) = query.scope { Int64(minutes) * 60_000 } else { nil } }

    var fields: [RowField] { matcher.fields + [query.dimension.field] + (gap == nil ? [] : [.sessionId]) }
    var isByActor: Bool { true }
    var needsTimes: Bool { true }

    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable) {
        let origins = try matcher.masks(rows.columns[..<matcher.fields.count])
        let marked = rows.columns[matcher.fields.count]
        var marks: [Int32] = []
        marks.reserveCapacity(marked.entries.count)
        for index in 0..<marked.entries.count {
            // The smallest if there are several.
            let key = EventMeasurement.keys(try marked.entries.scalars(index)).min() ?? .null
            marks.append(PathWalk.mark(key: number(of: key), isOrigin: false))
        }
        events.load(
            SessionSlot(
                rows, sessionIds: gap == nil ? .empty : rows.columns[matcher.fields.count + 1], marked: marked, marks: marks, flags: origins
            ),
            slot: slot)
    }

    private mutating func number(of key: GroupKey) -> Int32 {
        if let number = keyNumbers[key] { return number }
        let number = Int32(keys.count)
        keyNumbers[key] = number
        keys.append(key)
        keyBytes += key.size + 72
        return number
    }

    mutating func begin(isUser: Bool) {
        actor += 1
        events.isUser = isUser
    }

    mutating func add(slot: Int, _ rows: Range<Int>) { events.add(slot: slot, rows) }

    mutating func end() {
        // A second reference would copy the events.
        var own = events
        events = SessionEvents(byteLimit: 0)
        if let gap {
            own.cut(gap: gap, starting: range) { count(walk.path(of: $0, beginningIn: .min ..< .max, keys)) }
        } else {
            own.sorted { count(walk.path(of: $0, beginningIn: range, keys)) }
        }
        events = own
    }

    private mutating func count(_ path: [Int32]) {
        for (step, key) in path.enumerated() {
            steps[step].add(actor)
            nodes[Node(step: Int32(step), key: key), default: Tally()].add(actor)
            if step > 0 { edges[Edge(step: Int32(step), before: path[step - 1], key: key), default: Tally()].add(actor) }
        }
    }

    private var isTooLarge: Bool { keyBytes + nodes.count * 64 + edges.count * 80 > Self.byteLimit }

    func check() throws {
        if events.areTooMany || isTooLarge { throw QueryTooLargeError(.tooManyKeys) }
    }

    // MARK: The answer

    func answer() throws -> Paths {
        try check()
        var answer = Paths(steps: steps.map { Paths.Step(count: $0.count) })
        for (node, tally) in nodes {
            answer.steps[Int(node.step)].nodes.append(Paths.Node(key: keys[Int(node.key)], count: tally.count))
        }
        for (edge, tally) in edges {
            let (before, key) = (keys[Int(edge.before)], keys[Int(edge.key)])
            answer.steps[Int(edge.step)].edges.append(
                Paths.Edge(from: query.isBackward ? key : before, to: query.isBackward ? before : key, count: tally.count))
        }
        for step in answer.steps.indices { answer.steps[step].cut(query.limit) }
        return answer
    }

    /// Users, counted so far, whose path has a step, a key at it, or an edge to it. An edge is in order of time.
    func users(at step: Int, key: GroupKey? = nil, edge: (from: GroupKey, to: GroupKey)? = nil) -> Int64 {
        if let (from, to) = edge {
            guard let before = keyNumbers[query.isBackward ? to : from], let key = keyNumbers[query.isBackward ? from : to] else {
                return 0
            }
            return edges[Edge(step: Int32(step), before: before, key: key)]?.count.users ?? 0
        }
        guard let key else { return steps[step].count.users }
        return keyNumbers[key].flatMap { nodes[Node(step: Int32(step), key: $0)] }?.count.users ?? 0
    }
}

extension Paths.Step {
    /// Keeps the largest nodes and edges.
    fileprivate mutating func cut(_ limit: Int) {
        nodes.sort { $0.count.paths != $1.count.paths ? $0.count.paths > $1.count.paths : $0.key < $1.key }
        edges.sort { a, b in
            if a.count.paths != b.count.paths { return a.count.paths > b.count.paths }
            return a.from != b.from ? a.from < b.from : a.to < b.to
        }
        otherNodes = nodes.dropFirst(limit).reduce(0) { $0 + $1.count.paths }
        otherEdges = edges.dropFirst(limit).reduce(0) { $0 + $1.count.paths }
        (nodes, edges) = (Array(nodes.prefix(limit)), Array(edges.prefix(limit)))
    }
}
