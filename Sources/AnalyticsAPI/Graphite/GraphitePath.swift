internal import AnalyticsCore

/// A queried name, split at its dots: `project.type.source`, or a reserved node after the project.
struct GraphitePath: Sendable {
    let nodes: [String]

    /// Further nodes are ignored; no name has as many.
    private static let maximumNodes = 8

    init(_ text: String) throws(GraphiteFault) {
        var nodes: [[UInt8]] = [[]]
        var braces = 0
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "{"): braces += 1
            case UInt8(ascii: "}"): braces -= 1
            case UInt8(ascii: ".") where braces <= 0:
                nodes.append([])
                continue
            default: break
            }
            nodes[nodes.count - 1].append(byte)
        }
        guard nodes.allSatisfy({ !$0.isEmpty }) else { throw GraphiteFault("names '\(text.clipped)', which has an empty node.") }
        self.nodes = nodes.prefix(Self.maximumNodes).map { String(decoding: $0, as: UTF8.self) }
    }

    func plan(_ project: ProjectID) throws(GraphiteFault) -> GraphitePlan {
        let rest = Array(nodes.dropFirst())
        guard try isOf(project) else {
            for node in rest where !GraphiteTree.isReserved(node) { _ = try GraphitePattern(node) }
            return .nothing
        }
        if let first = rest.first, GraphiteTree.isReserved(first) { return try reserved(first, Array(rest.dropFirst())) }
        let patterns = try rest.map { (node) throws(GraphiteFault) in try GraphitePattern(node) }
        return patterns.count == 2 ? .leaf(.events(types: patterns[0], sources: patterns[1])) : .nothing
    }

    /// Whether the first node matches the project.
    func isOf(_ project: ProjectID) throws(GraphiteFault) -> Bool {
        var steps = GraphitePattern.maximumSteps
        return try !GraphitePattern(nodes[0]).matching([project.name], steps: &steps) { $0 }.isEmpty
    }

    private func reserved(_ node: String, _ rest: [String]) throws(GraphiteFault) -> GraphitePlan {
        guard let reserved = GraphiteReservedNode(node: node) else {
            let names = GraphiteReservedNode.allCases.map(\.rawValue).joined(separator: ", ")
            throw GraphiteFault("names '\(node.clipped)'. Behind a project stands a type, or one of \(names).")
        }
        switch (reserved, rest.count) {
        case (.users, 0): return .leaf(.users)
        case (.new, 1): return .leaf(.newTypes(try GraphitePattern(rest[0])))
        case (_, 1):
            guard let property = reserved.property else { return .nothing }
            return .leaf(.keys(reserved, property, try GraphitePattern(rest[0])))
        default: return .nothing
        }
    }
}

/// The syntax that all names share.
enum GraphiteTree {
    /// Whether a node has the form of a reserved node: a `~` that does not begin an escape.
    static func isReserved(_ node: String) -> Bool {
        let bytes = Array(node.utf8.prefix(2))
        guard bytes.first == UInt8(ascii: "~") else { return false }
        return bytes.count == 1 || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(bytes[1]) || bytes[1] == UInt8(ascii: "*")
    }

    /// Whether a text begins with an escape.
    static func isEscape(_ text: some StringProtocol) -> Bool {
        let characters = text.unicodeScalars.prefix(3)
        guard characters.count == 3, let low = characters.last else { return false }
        return GraphiteNode.character(characters.dropFirst().first ?? low, low) != nil
    }

    static func name(_ nodes: String...) -> String { nodes.joined(separator: ".") }
}

/// Conditions on the tags of event series. Values are encoded as nodes, and may be patterns.
struct GraphiteTags: Sendable {
    enum Tag: String, CaseIterable, Sendable {
        case project, source, type
    }

    private(set) var conditions: [(tag: Tag, pattern: GraphitePattern)] = []

    /// Reads `tag=value`.
    mutating func add(_ expression: String) throws(GraphiteFault) {
        guard let (name, value) = expression.cutUTF8(atFirst: "="), !value.isEmpty else {
            throw Self.wrong(expression, "is no 'tag=value'")
        }
        let isRegularExpression = value.starts(withUTF8: "~") && !GraphiteTree.isEscape(value)
        guard !isRegularExpression, !name.ends(withUTF8: "!") else {
            throw Self.wrong(
                expression, "has another operator than '=': only 'tag=value' is supported, and a value may be a pattern such as {a,b} or a*"
            )
        }
        guard let tag = Tag.allCases.first(where: { $0.rawValue.equalsUTF8(name) }) else {
            throw Self.wrong(expression, "names another tag than \(Tag.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard !conditions.contains(where: { $0.tag == tag }) else { throw Self.wrong(expression, "names a tag that was named before") }
        conditions.append((tag, try GraphitePattern(value)))
    }

    func pattern(_ tag: Tag) -> GraphitePattern { conditions.first { $0.tag == tag }?.pattern ?? .all }

    func plan(_ project: ProjectID) throws(GraphiteFault) -> GraphitePlan {
        guard try isOf(project) else { return .nothing }
        return .leaf(.events(types: pattern(.type), sources: pattern(.source)))
    }

    func isOf(_ project: ProjectID) throws(GraphiteFault) -> Bool {
        var steps = GraphitePattern.maximumSteps
        return try !pattern(.project).matching([project.name], steps: &steps) { $0 }.isEmpty
    }

    private static func wrong(_ expression: String, _ why: String) -> GraphiteFault {
        GraphiteFault("has the tag expression '\(expression.clipped)', which \(why).")
    }
}
