/// Selects the events of counts, listings and all other questions. Values in a list are alternatives; all lists, all data conditions
/// and the range must match. Values are compared as bytes: no value is an operator or a pattern.
public struct Selection: Sendable, Equatable {
    public var project: ProjectID
    /// Any of these; all if empty.
    public var types: [String]
    public var sources: [String]
    public var userIds: [String]
    public var anonymousIds: [String]
    public var correlationIds: [String]
    public var data: [DataCondition]
    /// Whether events of known bots are included (``StoredEvent/isBot``).
    public var includesBots: Bool
    /// First moment in the range; no bound if `nil`.
    public var from: Timestamp?
    /// First moment after the range; no bound if `nil`.
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

    /// Whether rollups can answer the selection. They have types, sources and bots only; all else is read from the events.
    public var isToldByRollups: Bool { userIds.isEmpty && anonymousIds.isEmpty && correlationIds.isEmpty && data.isEmpty }
}

extension Selection {
    /// Everything except the project and the range. Different selections have different parts: each list comes with its length.
    var keyParts: [String] {
        func list(_ values: [String]) -> [String] {
            [String(values.count)] + values.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
        let conditions = data.flatMap { [String($0.path.count)] + $0.path + list($0.values) }
        let lists = [types, sources, userIds, anonymousIds, correlationIds].flatMap(list)
        return lists + [String(data.count)] + conditions + [includesBots ? "bots" : ""]
    }
}
