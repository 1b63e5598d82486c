internal import AnalyticsCore

/// Lists names, for query editors.
extension GraphiteEvaluation {
    struct Node: Sendable, Equatable {
        /// Encoded as in names.
        var text: String
        /// The encoded name up to this node.
        var path: String
        /// Whether it is the last node of a name.
        var isLeaf: Bool
    }

    /// Names per response, the most frequent ones, and names that a pattern is compared with. Grafana requests as many.
    static let maximumNames = CountQuery.limits.upperBound

    // MARK: /metrics/find

    /// The nodes that match the last node of a query, sorted.
    mutating func nodes(_ path: GraphitePath, in selection: Selection) async throws -> [Node] {
        guard try path.isOf(project) else { return [] }
        let root = GraphiteNode.encode(project.name)
        switch path.nodes.count {
        case 1: return [Node(text: root, path: root, isLeaf: false)]
        case 2 where GraphiteTree.isReserved(path.nodes[1]): return try reserved(path.nodes[1], root)
        case 2:
            let types = try await names(try GraphitePattern(path.nodes[1]), by: .type, in: selection)
            return Self.sorted(types.map { Node(text: $0, path: "\(root).\($0)", isLeaf: false) })
        case 3 where GraphiteTree.isReserved(path.nodes[1]): return try await leaves(path, root, in: selection)
        case 3:
            let types = try GraphitePattern(path.nodes[1])
            var selected = selection
            let chosen = try await choose(types, by: .type, in: selection)
            guard chosen?.isEmpty != true else { return [] }
            selected.types = chosen ?? []
            let sources = try await names(try GraphitePattern(path.nodes[2]), by: .source, in: selected)
            return Self.sorted(sources.map { Node(text: $0, path: "\(root).\(types.text).\($0)", isLeaf: true) })
        default: return []
        }
    }

    private static func sorted(_ nodes: [Node]) -> [Node] {
        nodes.sorted { $0.text.utf8.lexicographicallyPrecedes($1.text.utf8) }
    }

    /// Encoded as in names.
    private mutating func names(
        _ pattern: GraphitePattern, by grouping: CountQuery.Grouping, in selection: Selection
    ) async throws -> [String] {
        var selected = selection
        if let names = pattern.names {
            if grouping == .type { selected.types = names } else { selected.sources = names }
        }
        let counts = try await ask(CountQuery(selected, grouping: grouping, limit: Self.maximumNames))
        return try pattern.matching(counts.groups.map(\.name), steps: &steps) { $0 }.map(GraphiteNode.encode)
    }

    private mutating func reserved(_ node: String, _ root: String) throws(GraphiteFault) -> [Node] {
        // The `~` of reserved nodes is not an escape.
        let pattern = try GraphitePattern("~7E" + node.trimmingUTF8(first: 1))
        let found = try pattern.matching(GraphiteReservedNode.allCases, steps: &steps) { $0.rawValue }
        return found.map { Node(text: $0.rawValue, path: "\(root).\($0.rawValue)", isLeaf: $0 == .users) }
    }

    private mutating func leaves(_ path: GraphitePath, _ root: String, in selection: Selection) async throws -> [Node] {
        guard let reserved = GraphiteReservedNode(node: path.nodes[1]) else { return [] }
        let pattern = try GraphitePattern(path.nodes[2])
        var names: [String] = []
        if let property = reserved.property {
            let top = try await ask(TopQuery(selection, by: .property(property), limit: TopQuery.limits.upperBound))
            names = top.items.compactMap { item -> String? in if case .text(let text) = item.key { text.text } else { nil } }
            names = try pattern.matching(names, steps: &steps) { $0 }
        } else if reserved == .new {
            names = try await newTypes(pattern, in: selection)
        }
        return Self.sorted(
            names.map(GraphiteNode.encode).map { Node(text: $0, path: "\(root).\(reserved.rawValue).\($0)", isLeaf: true) })
    }

    // MARK: /metrics/expand

    /// The names that match a query, up to its last node.
    mutating func names(_ path: GraphitePath, in selection: Selection) async throws -> [String] {
        guard path.nodes.count == 3, !GraphiteTree.isReserved(path.nodes[1]) else {
            return try await nodes(path, in: selection).map(\.path)
        }
        guard try path.isOf(project) else { return [] }
        var names: [String] = []
        for slice in try await slices(try GraphitePattern(path.nodes[1]), try GraphitePattern(path.nodes[2]), in: selection) {
            let grouping: CountQuery.Grouping = slice.dimension == .type ? .type : .source
            let counts = try await ask(CountQuery(slice.selection, grouping: grouping, limit: Self.maximumNames - names.count))
            names += counts.groups.map { group in
                ([project.name] + slice.nodes(group.name)).map(GraphiteNode.encode).joined(separator: ".")
            }
            guard names.count < Self.maximumNames else { break }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    // MARK: Tags

    /// The values of a tag in the events that match the conditions, with their number of events, the most frequent first.
    mutating func values(
        of tag: GraphiteTags.Tag, _ conditions: GraphiteTags, in selection: Selection
    ) async throws -> [(value: String, count: Int64)] {
        guard try conditions.isOf(project) else { return [] }
        var selected = selection
        let types = try await choose(conditions.pattern(.type), by: .type, in: selection)
        let sources = try await choose(conditions.pattern(.source), by: .source, in: selection)
        guard types?.isEmpty != true, sources?.isEmpty != true else { return [] }
        (selected.types, selected.sources) = (types ?? [], sources ?? [])
        let counts = try await ask(CountQuery(selected, grouping: tag == .source ? .source : .type, limit: Self.maximumNames))
        if tag == .project { return counts.total == 0 ? [] : [(GraphiteNode.encode(project.name), counts.total)] }
        return counts.groups.map { (GraphiteNode.encode($0.name), $0.count) }
    }
}
