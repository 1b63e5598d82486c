internal import AnalyticsCore

/// Reads the series that names match.
extension GraphiteEvaluation {
    /// Questions that one name may be split into.
    private static let maximumSlices = 100

    mutating func series(of leaf: GraphiteLeaf, in range: GraphiteRange, limit: Int?) async throws -> [GraphiteSeries] {
        switch leaf {
        case .users:
            let answer = try await ask(TimeseriesQuery(selection(range), metric: .users, starts: range.starts))
            return try take(answer.series.map { series($0, [project.name], reserved: .users, range) })
        case .keys(let node, let property, let pattern): return try await keys(node, property, pattern, in: range, limit: limit)
        case .newTypes(let pattern): return try await newTypes(pattern, in: range)
        case .events(let types, let sources):
            if !types.hasWildcards, !sources.hasWildcards { return try take([try await total(types, sources, in: range)]) }
            let slices = try await slices(types, sources, in: selection(range))
            // With several questions, any one of them may have all of the largest series.
            let limit = slices.count == 1 ? limit : nil
            var found: [GraphiteSeries] = []
            for slice in slices {
                let groups = try await groups(slice.selection, slice.dimension, in: range, limit: limit)
                let named = groups.map { group in
                    let nodes = slice.nodes(group.key)
                    return series(group.series, [project.name] + nodes, range)
                }
                found += try take(named)
            }
            return found
        }
    }

    func selection(_ range: GraphiteRange) -> Selection {
        Selection(project: project, includesBots: includesBots, from: range.starts[0], to: range.end)
    }

    private func series(
        _ answer: Timeseries.Series, _ nodes: [String], reserved: GraphiteReservedNode? = nil, _ range: GraphiteRange
    ) -> GraphiteSeries {
        var written = nodes.map(GraphiteNode.encode)
        var nodes = nodes
        if let reserved {
            written.insert(reserved.rawValue, at: 1)
            nodes.insert(reserved.rawValue, at: 1)
        }
        let name = written.joined(separator: ".")
        return GraphiteSeries(name: name, path: name, nodes: nodes, times: range.starts, values: answer.values, total: answer.total)
    }

    // MARK: Events by type and source

    /// All events of the types and sources as one series, read with one question.
    mutating func total(_ types: GraphitePattern, _ sources: GraphitePattern, in range: GraphiteRange) async throws -> GraphiteSeries {
        let name = [GraphiteNode.encode(project.name), types.text, sources.text].joined(separator: ".")
        let nodes = [project.name, types.only ?? types.text, sources.only ?? sources.text]
        let selected = try await selected(types, sources, in: selection(range))
        _ = try room(points: range.starts.count)
        guard let selected else {
            let zeros = Array(repeating: MetricValue.integer(0), count: range.starts.count)
            return GraphiteSeries(name: name, path: name, nodes: nodes, times: range.starts, values: zeros, total: .integer(0))
        }
        let answer = try await ask(TimeseriesQuery(selected, starts: range.starts))
        return GraphiteSeries(
            name: name, path: name, nodes: nodes, times: range.starts, values: answer.series.first?.values ?? [], total: answer.total)
    }

    /// One series per type or per source, if the plan is a plain name of events; otherwise `nil`.
    mutating func groups(
        of plan: GraphitePlan, by node: Int, in range: GraphiteRange, limit: Int?
    ) async throws -> [GraphiteSeries]? {
        guard case .leaf(.events(let types, let sources)) = plan, let dimension = Self.dimensions[node] else { return nil }
        guard let selected = try await selected(types, sources, in: selection(range)) else { return [] }
        let groups = try await groups(selected, dimension, in: range, limit: limit)
        let named = groups.map { group in
            var series = series(group.series, [group.key], range)
            (series.path, series.nodes) = (series.name, [group.key])
            return series
        }
        return try take(named)
    }

    private static let dimensions: [Int: Dimension] = [1: .type, -2: .type, 2: .source, -1: .source]

    private typealias Group = (key: String, series: Timeseries.Series)

    /// - Parameter limit: `nil` for all; then too many are an error.
    private mutating func groups(
        _ selection: Selection, _ dimension: Dimension, in range: GraphiteRange, limit: Int?
    ) async throws -> [Group] {
        let points = range.starts.count
        let room = min(try room(points: points), TimeseriesQuery.limits.upperBound)
        if let limit, limit > room { throw tooMany(points: points) }
        let answer = try await ask(TimeseriesQuery(selection, by: dimension, limit: limit ?? room, starts: range.starts))
        guard limit != nil || answer.other == nil else { throw tooMany(points: points) }
        return answer.series.compactMap { series in
            guard case .text(let key)? = series.key else { return nil }
            return (key.text, series)
        }
    }

    /// The selection of the matching types and sources; `nil` if there are none.
    private mutating func selected(
        _ types: GraphitePattern, _ sources: GraphitePattern, in selection: Selection
    ) async throws -> Selection? {
        var selected = selection
        let types = try await choose(types, by: .type, in: selection)
        let sources = try await choose(sources, by: .source, in: selection)
        guard types?.isEmpty != true, sources?.isEmpty != true else { return nil }
        (selected.types, selected.sources) = (types ?? [], sources ?? [])
        return selected
    }

    /// The names that match a pattern; `nil` for all.
    mutating func choose(
        _ pattern: GraphitePattern, by grouping: CountQuery.Grouping, in selection: Selection
    ) async throws -> [String]? {
        if pattern.isAll { return nil }
        if let names = pattern.names { return names }
        let counts = try await ask(CountQuery(selection, grouping: grouping, limit: Self.maximumNames))
        guard counts.other == 0 else {
            throw GraphiteFault(
                "compares '\(pattern.text.clipped)' with more than \(Self.maximumNames) \(grouping.rawValue)s. Use '*', or write "
                    + "the names out."
            )
        }
        return try pattern.matching(counts.groups.map(\.name), steps: &steps) { $0 }
    }

    /// A question by type for one source, or by source for one type.
    struct Slice {
        var selection: Selection
        var dimension: Dimension
        /// The fixed type or source.
        var only: String

        func nodes(_ key: String) -> [String] { dimension == .type ? [key, only] : [only, key] }
    }

    /// Splits types and sources into questions that are grouped by one of them.
    mutating func slices(_ types: GraphitePattern, _ sources: GraphitePattern, in selection: Selection) async throws -> [Slice] {
        guard let selected = try await selected(types, sources, in: selection) else { return [] }
        // Only names that have events: a query may list many others.
        var names = try await few(.source, in: selected)
        var isBySource = true
        if names.map({ $0.count > 1 }) ?? true {
            let types = try await few(.type, in: selected)
            if let types, names.map({ types.count < $0.count }) ?? true { (names, isBySource) = (types, false) }
        }
        guard let names else {
            throw GraphiteFault(
                "stands for more than \(Self.maximumSlices) types of more than \(Self.maximumSlices) sources. Name the type or the "
                    + "source, or use sumSeries or groupByNode.")
        }
        return names.map { name in
            var selection = selected
            if isBySource { selection.sources = [name] } else { selection.types = [name] }
            return Slice(selection: selection, dimension: isBySource ? .type : .source, only: name)
        }
    }

    /// The types or sources of a selection; `nil` if there are more than ``maximumSlices``.
    private mutating func few(_ grouping: CountQuery.Grouping, in selection: Selection) async throws -> [String]? {
        let counts = try await ask(CountQuery(selection, grouping: grouping, limit: Self.maximumSlices))
        return counts.other == 0 ? counts.groups.map(\.name) : nil
    }

    // MARK: Pages

    private mutating func keys(
        _ node: GraphiteReservedNode, _ property: PropertyPath, _ pattern: GraphitePattern, in range: GraphiteRange, limit: Int?
    ) async throws -> [GraphiteSeries] {
        var names = pattern.isAll ? nil : pattern.names
        if names == nil { names = try await texts(of: property, pattern, in: selection(range), limit: limit) }
        guard let names, !names.isEmpty else { return [] }
        guard names.count <= (try room(points: range.starts.count)) else { throw tooMany(points: range.starts.count) }
        let query = TimeseriesQuery(
            selection(range), by: .property(property), limit: names.count, keys: names.map { GroupKey($0) }, starts: range.starts)
        let answer = try await ask(query)
        let found = zip(names, answer.series).map { series($1, [project.name, $0], reserved: node, range) }
        return try take(pattern.hasWildcards ? found.filter { $0.total != .integer(0) } : found)
    }

    /// Text values of a property, the most frequent first. Leaves out numbers, and events without the property.
    mutating func texts(
        of property: PropertyPath, _ pattern: GraphitePattern, in selection: Selection, limit: Int?
    ) async throws -> [String] {
        let most = TopQuery.limits.upperBound
        // Events without the property are one more key, which is left out.
        for count in Set([limit.flatMap { pattern.isAll ? min($0 + 1, most) : nil } ?? most, most]).sorted() {
            let top = try await ask(TopQuery(selection, by: .property(property), limit: count))
            let texts = top.items.compactMap { item -> String? in if case .text(let text) = item.key { text.text } else { nil } }
            let isComplete = top.items.count < count
            if pattern.isAll, let limit, texts.count >= limit || isComplete { return Array(texts.prefix(limit)) }
            guard isComplete else { continue }
            return Array(try pattern.matching(texts, steps: &steps) { $0 }.prefix(limit ?? .max))
        }
        throw GraphiteFault(
            "stands for some of more than \(most) pages. Write the pages out, choose the largest with "
                + "highest(…, n, 'sum'), or ask for a shorter range."
        )
    }

    // MARK: New types

    private mutating func newTypes(_ pattern: GraphitePattern, in range: GraphiteRange) async throws -> [GraphiteSeries] {
        let names = try await newTypes(pattern, in: selection(range))
        guard !names.isEmpty else { return [] }
        guard names.count <= (try room(points: range.starts.count)) else { throw tooMany(points: range.starts.count) }
        var selected = selection(range)
        selected.types = names
        let query = TimeseriesQuery(
            selected, by: .type, limit: names.count, keys: names.map { GroupKey($0) }, starts: range.starts)
        let answer = try await ask(query)
        return try take(zip(names, answer.series).map { series($1, [project.name, $0], reserved: .new, range) })
    }

    /// Types with events in the range and none before it, the most frequent first.
    mutating func newTypes(_ pattern: GraphitePattern, in selection: Selection) async throws -> [String] {
        let present = try await ask(CountQuery(selection, limit: Self.maximumNames))
        let earlier = Selection(project: project, includesBots: includesBots, to: selection.from)
        let before = try await ask(CountQuery(earlier, limit: Self.maximumNames))
        guard present.other == 0, before.other == 0 else {
            throw GraphiteFault("cannot say which of more than \(Self.maximumNames) types are new.")
        }
        let known = Set(before.groups.map { BytewiseString($0.name) })
        let new = present.groups.map(\.name).filter { !known.contains(BytewiseString($0)) }
        return try pattern.matching(new, steps: &steps) { $0 }
    }
}

extension GraphitePattern {
    /// The text of a pattern without wildcards.
    fileprivate var only: String? { hasWildcards ? nil : names?.first }
}
