/// Stores, for 25 hours, how many events of each minute of acceptance each process has accepted and settled
/// (docs/decisions/conservation.md).
public protocol PipelineStore: Sendable {
    /// Writes the current counts of these cells. Of two writes of one cell the higher revision wins, in any order. Returns when it is
    /// durable.
    func write(_ cells: [PipelineCell]) async throws(StoreError)

    /// The cells of a project's minutes, of all writers, in the order of the minutes.
    func pipelineCells(of project: ProjectID, minutes: Range<Int64>) async throws(StoreError) -> [PipelineCell]
}

/// The counts of one writer for one minute of acceptance.
public struct PipelineCell: Sendable, Equatable {
    public var project: ProjectID
    /// Minutes since 1970.
    public var minute: Int64
    /// Unique among the cells of this project and minute.
    public var writer: String
    /// Raised with each write.
    public var revision: Int64
    public var counts: PipelineCounts

    public init(project: ProjectID, minute: Int64, writer: String, revision: Int64, counts: PipelineCounts) {
        self.project = project
        self.minute = minute
        self.writer = writer
        self.revision = revision
        self.counts = counts
    }

    /// How long a store keeps cells after the end of their minute.
    public static let kept = Duration.seconds(25 * 3_600)
}
