internal import AnalyticsCore

/// One series of a response.
struct GraphiteSeries: Sendable {
    var name: String
    /// The name before any alias.
    var path: String
    /// The nodes of the source series' name, decoded.
    var nodes: [String]
    /// The starts of its buckets, as sent to the client.
    var times: [Timestamp]
    var values: [MetricValue]
    /// Over the whole range. Each user counts once.
    var total: MetricValue

    /// Approximate bytes in memory.
    var size: Int { 256 + name.utf8.count + path.utf8.count + values.count * 16 }
}

/// Evaluates plans with questions to the engine, within the limits of one request.
struct GraphiteEvaluation {
    let engine: QueryEngine
    let project: ProjectID
    let includesBots: Bool
    let asker: Asker
    let now: Timestamp
    /// No question starts after it.
    let deadline: ContinuousClock.Instant
    private var asked = 0
    private var lines = 0
    private var points = 0
    var steps = GraphitePattern.maximumSteps

    /// Per request, over all its targets. Series that functions read as input count too.
    static let maximumSeries = 1_000
    static let maximumValues = TimeseriesQuery.maximumValues
    static let maximumQuestions = 200
    static let timeLimit: Duration = .seconds(60)

    init(
        engine: QueryEngine, project: ProjectID, includesBots: Bool = false, asker: Asker, now: Timestamp,
        deadline: ContinuousClock.Instant = .now + Self.timeLimit
    ) {
        self.engine = engine
        self.project = project
        self.includesBots = includesBots
        self.asker = asker
        self.now = now
        self.deadline = deadline
    }

    // MARK: Bounds

    private mutating func admit() throws {
        asked += 1
        guard asked <= Self.maximumQuestions else {
            throw GraphiteFault(
                "takes more than \(Self.maximumQuestions) questions to answer. Name types or sources instead of using wildcards.")
        }
        guard ContinuousClock.now < deadline else { throw QueryLimitError.timeout(Self.timeLimit) }
    }

    mutating func ask(_ query: TimeseriesQuery) async throws -> Timeseries {
        try admit()
        // The API's defaults: an answer about users may be some seconds old.
        let age = AnswerAge(now: now, limit: query.metric == .users ? AnswerAge.ofUsers : .zero)
        return try await engine.timeseries(query, age, for: asker).answer
    }

    mutating func ask(_ query: CountQuery) async throws -> Counts {
        try admit()
        return try await engine.counts(query, for: asker).counts
    }

    mutating func ask(_ query: TopQuery) async throws -> Top {
        try admit()
        return try await engine.top(query, for: asker).answer
    }

    /// The number of further series with this many points, at least 1. Throws if there is no room.
    func room(points: Int) throws(GraphiteFault) -> Int {
        let room = min(Self.maximumSeries - lines, (Self.maximumValues - self.points) / max(1, points))
        guard room > 0 else { throw tooMany(points: points) }
        return room
    }

    func tooMany(points: Int) -> GraphiteFault {
        let most = min(Self.maximumSeries, Self.maximumValues / max(1, points))
        return GraphiteFault(
            "has more than \(most) series of \(points) points, which is all that one request may have. Add them up with sumSeries or "
                + "groupByNode, choose the largest with highest, or ask for longer intervals.")
    }

    mutating func take(_ taken: [GraphiteSeries]) throws(GraphiteFault) -> [GraphiteSeries] {
        lines += taken.count
        points += taken.reduce(0) { $0 + $1.values.count }
        guard lines <= Self.maximumSeries, points <= Self.maximumValues else { throw tooMany(points: taken.first?.values.count ?? 1) }
        return taken
    }

    // MARK: Plans

    /// - Parameter limit: The number of largest series needed, or `nil` for all. More may be returned.
    mutating func series(of plan: GraphitePlan, in range: GraphiteRange, limit: Int? = nil) async throws -> [GraphiteSeries] {
        switch plan {
        case .nothing: return []
        case .leaf(let leaf): return try await series(of: leaf, in: range, limit: limit)
        case .constant(let value): return try take([constant(value, range)])
        case .sum(let plans): return try take(try await sum(of: plans, in: range).map { [$0] } ?? [])
        case .group(let plan, let node):
            // Not in the condition: Swift 6.3.1 crashes when it optimizes an await that is one of several conditions.
            if let groups = try await groups(of: plan, by: node, in: range, limit: limit) { return groups }
            let series = try await series(of: plan, in: range)
            return try take(try Self.grouped(series, by: node))
        case .highest(let plan, let count):
            let found = try await series(of: plan, in: range, limit: count)
            return Array(Self.byTotal(found).prefix(count))
        case .total(let plan): return try await series(of: plan, in: range, limit: limit).map { Self.line($0) }
        case .summarize(let plan, let step): return try await series(of: plan, in: try range.with(step: step), limit: limit)
        case .shift(let plan, let shift):
            var shifted = try await series(of: plan, in: try range.shifted(by: shift), limit: limit)
            for index in shifted.indices { shifted[index].times = shifted[index].times.map { shift.reversed.apply($0, range.rules) } }
            return shifted
        case .rename(let plan, let name): return try await series(of: plan, in: range, limit: limit).map { try Self.renamed($0, name) }
        case .wrap(let plan, let function, let arguments):
            return try await series(of: plan, in: range, limit: limit).map { series in
                var series = series
                series.name = "\(function)(\(series.name)\(arguments))"
                series.path = series.name
                return series
            }
        }
    }

    private func constant(_ value: Double, _ range: GraphiteRange) -> GraphiteSeries {
        let name = GraphiteExpression.number(value).written
        return GraphiteSeries(
            name: name, path: name, nodes: [name], times: [range.from, range.until], values: [.double(value), .double(value)],
            total: .double(value))
    }

    /// The largest totals first; equal ones keep their order.
    private static func byTotal(_ series: [GraphiteSeries]) -> [GraphiteSeries] {
        series.enumerated().sorted { a, b in
            let (left, right) = (a.element.total.comparable, b.element.total.comparable)
            return left != right ? left > right : a.offset < b.offset
        }.map(\.element)
    }

    private static func line(_ series: GraphiteSeries) -> GraphiteSeries {
        var line = series
        line.times = series.times.count > 1 ? [series.times[0], series.times[series.times.count - 1]] : series.times
        line.values = line.times.map { _ in series.total }
        return line
    }

    private static func renamed(_ series: GraphiteSeries, _ name: GraphiteName) throws(GraphiteFault) -> GraphiteSeries {
        var series = series
        switch name {
        case .text(let text): series.name = text
        case .around(let replacement):
            series.name = replacement.replacing("\\1", with: series.name)  // text: a mark on the digit is the caller's
        case .nodes(let nodes):
            series.name = try nodes.map { (node) throws(GraphiteFault) in try series.node(node) }.joined(separator: ".")
        }
        return series
    }

    // MARK: Sums

    /// `nil` without series.
    private mutating func sum(of plans: [GraphitePlan], in range: GraphiteRange) async throws -> GraphiteSeries? {
        var parts: [GraphiteSeries] = []
        for plan in plans {
            if case .leaf(.events(let types, let sources)) = plan {
                parts.append(try await total(types, sources, in: range))
            } else {
                parts += try await series(of: plan, in: range)
            }
        }
        guard let first = parts.first else { return nil }
        var names: [String] = []
        for part in parts where !names.contains(where: part.name.equalsUTF8) && names.count < 10 { names.append(part.name) }
        var sum = try parts.dropFirst().reduce(first) { (sum, part) throws(GraphiteFault) in try Self.adding(part, to: sum) }
        sum.name = names.joined(separator: ",").clipped
        return sum
    }

    private static func grouped(_ series: [GraphiteSeries], by node: Int) throws(GraphiteFault) -> [GraphiteSeries] {
        var groups: [GraphiteSeries] = []
        var places: [BytewiseString: Int] = [:]
        for part in series {
            let text = try part.node(node)
            if let place = places[BytewiseString(text)] {
                groups[place] = try adding(part, to: groups[place])
            } else {
                places[BytewiseString(text)] = groups.count
                var group = part
                group.name = GraphiteNode.encode(text)
                (group.path, group.nodes) = (group.name, [text])
                groups.append(group)
            }
        }
        return groups
    }

    private static func adding(_ part: GraphiteSeries, to sum: GraphiteSeries) throws(GraphiteFault) -> GraphiteSeries {
        guard part.times == sum.times else {
            throw GraphiteFault("adds up series with different intervals: '\(sum.name.clipped)' and '\(part.name.clipped)'.")
        }
        var sum = sum
        for index in sum.values.indices { sum.values[index] = sum.values[index].adding(part.values[index]) }
        sum.total = sum.total.adding(part.total)
        return sum
    }
}

extension GraphiteSeries {
    /// A node of the name: from 0, or from the end with -1.
    func node(_ number: Int) throws(GraphiteFault) -> String {
        let index = number < 0 ? nodes.count + number : number
        guard nodes.indices.contains(index) else {
            throw GraphiteFault("asks for node \(number) of '\(name.clipped)', which has \(nodes.count), the first of which is 0.")
        }
        return nodes[index]
    }
}

extension MetricValue {
    fileprivate var comparable: Double {
        switch self {
        case .none: -.infinity
        case .integer(let value): Double(value)
        case .double(let value): value
        }
    }

    /// No value adds nothing.
    fileprivate func adding(_ other: MetricValue) -> MetricValue {
        switch (self, other) {
        case (.none, let value), (let value, .none): return value
        case (.integer(let a), .integer(let b)):
            let (sum, overflow) = a.addingReportingOverflow(b)
            return overflow ? .double(Double(a) + Double(b)) : .integer(sum)
        default: return .double(comparable + other.comparable)
        }
    }
}
