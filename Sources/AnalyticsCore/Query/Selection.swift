/// What counts and listings select events by. Values of a list are alternatives, compared as bytes; both lists and the range must hold.
public struct Selection: Sendable, Equatable {
    public var project: String
    /// Any of these; all when empty.
    public var types: [String]
    public var sources: [String]
    /// First moment inside the range; no bound when `nil`.
    public var from: Timestamp?
    /// First moment after the range; no bound when `nil`.
    public var to: Timestamp?

    public init(project: String, types: [String] = [], sources: [String] = [], from: Timestamp? = nil, to: Timestamp? = nil) {
        self.project = project
        self.types = types
        self.sources = sources
        self.from = from
        self.to = to
    }
}
