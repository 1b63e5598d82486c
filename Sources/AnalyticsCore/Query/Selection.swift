/// What counts, listings and all other questions select events by. Values of a list are alternatives; all lists, all data conditions and the
/// range must hold. Values are compared as bytes: nothing in them is an operator or a pattern.
public struct Selection: Sendable, Equatable {
    public var project: ProjectID
    /// Any of these; all when empty.
    public var types: [String]
    public var sources: [String]
    public var userIds: [String]
    public var anonymousIds: [String]
    public var correlationIds: [String]
    public var data: [DataCondition]
    /// Whether events of known bots are selected too (``StoredEvent/isBot``).
    public var includesBots: Bool
    /// First moment inside the range; no bound when `nil`.
    public var from: Timestamp?
    /// First moment after the range; no bound when `nil`.
    public var to: Timestamp?

    public init(
        project: ProjectID, types: [String] = [], sources: [String] = [], userIds: [String] = [], anonymousIds: [String] = [],
        correlationIds: [String] = [], data: [DataCondition] = [], includesBots: Bool = true, from: Timestamp? = nil, to: Timestamp? = nil
    ) {
        self.project = project
        self.types = types
        self.sources = sources
        self.userIds = userIds
        self.anonymousIds = anonymousIds
        self.correlationIds = correlationIds
        self.data = data
        self.includesBots = includesBots
        self.from = from
        self.to = to
    }

    /// Whether rollups, which know types, sources and bots alone, tell what is selected. All else has to be read from the events.
    public var isToldByRollups: Bool { userIds.isEmpty && anonymousIds.isEmpty && correlationIds.isEmpty && data.isEmpty }
}

extension Selection {
    /// All of it but the project and the range. No two selections have the same parts: each list comes with its length.
    var keyParts: [String] {
        func list(_ values: [String]) -> [String] {
            [String(values.count)] + values.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
        let conditions = data.flatMap { [String($0.path.count)] + $0.path + list($0.values) }
        let lists = [types, sources, userIds, anonymousIds, correlationIds].flatMap(list)
        return lists + [String(data.count)] + conditions + [includesBots ? "bots" : ""]
    }
}
