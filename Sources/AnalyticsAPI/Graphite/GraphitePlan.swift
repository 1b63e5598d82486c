internal import AnalyticsCore

/// A target with its functions resolved, its arguments checked, and its names parsed. Pure.
indirect enum GraphitePlan: Sendable {
    /// A name of another project, or one with a number of nodes that no series has.
    case nothing
    case leaf(GraphiteLeaf)
    case constant(Double)
    case sum([GraphitePlan])
    /// One series per text at a node of the names.
    case group(GraphitePlan, node: Int)
    case highest(GraphitePlan, Int)
    case total(GraphitePlan)
    case summarize(GraphitePlan, GraphiteStep)
    case shift(GraphitePlan, GraphiteShift)
    case rename(GraphitePlan, GraphiteName)
    /// Writes a call of a function around the names of series.
    case wrap(GraphitePlan, function: String, arguments: String)
}

/// Series that are read, not computed from others.
enum GraphiteLeaf: Sendable {
    case events(types: GraphitePattern, sources: GraphitePattern)
    case users
    /// Events by a text property: pages and paths.
    case keys(GraphiteReservedNode, PropertyPath, GraphitePattern)
    case newTypes(GraphitePattern)
}

/// Where the name of a series comes from.
enum GraphiteName: Sendable {
    case text(String)
    case nodes([Int])
    /// `\1` is the previous name.
    case around(String)
}

extension GraphitePlan {
    init(_ target: String, project: ProjectID) throws(GraphiteFault) {
        self = try Self.plan(try GraphiteExpression(target), project)
    }

    private static func plan(_ expression: GraphiteExpression, _ project: ProjectID) throws(GraphiteFault) -> GraphitePlan {
        switch expression {
        case .path(let path): return try GraphitePath(path).plan(project)
        case .call(let name, let arguments):
            guard let function = GraphiteFunction.all.first(where: { $0.name.equalsUTF8(name) || $0.alias?.equalsUTF8(name) == true })
            else {
                throw GraphiteFault("calls the function '\(name.clipped)', which is not supported. Supported: \(GraphiteFunction.list).")
            }
            var arguments = GraphiteArguments(function: function.name, rest: arguments[...], count: arguments.count, project: project)
            let plan = try call(function.kind, &arguments)
            try arguments.end()
            return plan
        case .number, .text, .boolean:
            throw GraphiteFault("has \(expression.written.clipped) where the name of series, or a function, must stand.")
        }
    }

    private static func call(_ kind: GraphiteFunction.Kind, _ arguments: inout GraphiteArguments) throws(GraphiteFault) -> GraphitePlan {
        switch kind {
        case .aggregateLine:
            let plan = try arguments.series()
            try arguments.sum(isRequired: true)
            return .wrap(.total(plan), function: "aggregateLine", arguments: ",'sum'")
        case .alias: return .rename(try arguments.series(), .text(try arguments.text("a name")))
        case .aliasByNode:
            let plan = try arguments.series()
            var nodes = [try arguments.integer("the number of a node")]
            while arguments.hasMore { nodes.append(try arguments.integer("the number of a node")) }
            return .rename(plan, .nodes(nodes))
        case .aliasSub:
            let plan = try arguments.series()
            let (search, replacement) = (try arguments.text("'(^.*$)'"), try arguments.text("a text with \\1"))
            guard search.equalsUTF8("(^.*$)") else {
                throw GraphiteFault("calls aliasSub with '\(search.clipped)': only '(^.*$)', the whole name, is searched for.")
            }
            return .rename(plan, .around(replacement))
        case .constantLine: return .constant(try arguments.number())
        case .groupByNode:
            let (plan, node) = (try arguments.series(), try arguments.integer("the number of a node"))
            try arguments.sum(isRequired: true)
            return .group(plan, node: node)
        case .highest:
            let plan = try arguments.series()
            let count = try arguments.integer("how many series")
            guard TimeseriesQuery.limits.contains(count) else {
                throw GraphiteFault("calls highest for \(count) series: it may be 1 to \(TimeseriesQuery.limits.upperBound).")
            }
            try arguments.sum(isRequired: true)
            return .highest(plan, count)
        case .seriesByTag: return try arguments.tagged()
        case .sumSeries:
            var plans = [try arguments.series()]
            while arguments.hasMore { plans.append(try arguments.series()) }
            return .wrap(.sum(plans), function: "sumSeries", arguments: "")
        case .summarize:
            let (plan, interval) = (try arguments.series(), try arguments.text("an interval such as '1d'"))
            guard let step = GraphiteStep(interval) else {
                throw GraphiteFault("calls summarize with the interval '\(interval.clipped)': it may be \(GraphiteStep.help).")
            }
            try arguments.sum(isRequired: false)
            try arguments.notAligned()
            return .wrap(.summarize(plan, step), function: "summarize", arguments: ",'\(interval)','sum'")
        case .timeShift:
            let (plan, text) = (try arguments.series(), try arguments.text("a length of time such as '7d'"))
            guard let duration = GraphiteDuration(text) else {
                throw GraphiteFault("calls timeShift with '\(text.clipped)': a length of time is written as 7d, 1h, 30min or 1mon.")
            }
            return .wrap(.shift(plan, GraphiteShift(duration)), function: "timeShift", arguments: ",'\(text)'")
        }
    }

    fileprivate static func series(_ expression: GraphiteExpression, _ project: ProjectID) throws(GraphiteFault) -> GraphitePlan {
        try plan(expression, project)
    }
}

/// The arguments of a call, taken one by one.
private struct GraphiteArguments {
    let function: String
    var rest: ArraySlice<GraphiteExpression>
    let count: Int
    let project: ProjectID

    var hasMore: Bool { !rest.isEmpty }

    mutating func series() throws(GraphiteFault) -> GraphitePlan {
        try GraphitePlan.series(try next("the name of series"), project)
    }

    mutating func text(_ what: String) throws(GraphiteFault) -> String {
        guard case .text(let text) = try next(what) else { throw wrong(what, "a text in quotes") }
        return text
    }

    mutating func integer(_ what: String) throws(GraphiteFault) -> Int {
        guard case .number(let value) = try next(what), let integer = Int(exactly: value) else { throw wrong(what, "a whole number") }
        return integer
    }

    mutating func number() throws(GraphiteFault) -> Double {
        guard case .number(let value) = try next("a number") else { throw wrong("a number", "a number") }
        return value
    }

    /// Reads the function that combines values. Only sums are supported: they are exact at any interval.
    mutating func sum(isRequired: Bool) throws(GraphiteFault) {
        guard isRequired || hasMore else { return }
        let name = try text("'sum'")
        guard name.equalsUTF8("sum") || name.equalsUTF8("total") else {
            throw GraphiteFault("calls \(function) with '\(name.clipped)': only 'sum' is supported.")
        }
    }

    mutating func notAligned() throws(GraphiteFault) {
        guard hasMore else { return }
        guard case .boolean(false) = try next("false") else {
            throw GraphiteFault(
                "calls \(function) with alignToFrom: only false is supported, buckets begin where the clocks and the calendar do.")
        }
    }

    /// Reads all remaining arguments as `tag=value`.
    mutating func tagged() throws(GraphiteFault) -> GraphitePlan {
        var tags = GraphiteTags()
        repeat { try tags.add(try text("an expression such as 'type=view'")) } while hasMore
        return try tags.plan(project)
    }

    func end() throws(GraphiteFault) {
        guard let more = rest.first else { return }
        throw GraphiteFault("calls \(function) with \(count) arguments; there is none for \(more.written.clipped).")
    }

    private mutating func next(_ what: String) throws(GraphiteFault) -> GraphiteExpression {
        guard let next = rest.popFirst() else { throw GraphiteFault("calls \(function) without \(what).") }
        return next
    }

    private func wrong(_ what: String, _ form: String) -> GraphiteFault {
        GraphiteFault("calls \(function), whose argument \(count - rest.count) must be \(what), as \(form).")
    }
}
