/// Keeps for a day and an hour how many events of each minute of acceptance each process has accepted and settled
/// (docs/decisions/conservation.md).
public protocol PipelineStore: Sendable {
    /// Writes what these cells count now. Of two writes of one cell that with the higher revision stands, in whichever order they take
    /// effect. Returns when that is durable.
    func write(_ cells: [PipelineCell]) async throws(StoreError)

    /// The cells of a project's minutes, of all writers, in the order of the minutes.
    func pipelineCells(of project: ProjectID, minutes: Range<Int64>) async throws(StoreError) -> [PipelineCell]
}

/// What one writer has counted of one minute of acceptance.
public struct PipelineCell: Sendable, Equatable {
    public var project: ProjectID
    /// Since 1970.
    public var minute: Int64
    /// Names who counts: no other cell of this project and minute has it.
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

    /// How long a store keeps cells, after the end of their minute.
    public static let kept = Duration.seconds(25 * 3_600)
}
