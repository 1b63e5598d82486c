/// Answers questions about the outcomes of accepted events.
public struct PipelineReader: Sendable {
    private let store: any PipelineStore
    private let gate: QueryGate
    private let clock: WallClock

    public init(store: any PipelineStore, gate: QueryGate, clock: WallClock) {
        self.store = store
        self.gate = gate
        self.clock = clock
    }

    /// Minutes that can be read.
    public static let keptMinutes: Int64 = 24 * 60

    /// The balance of a range of minutes, and the lag of the whole day. Throws a ``QueryLimitError`` if it waits or runs too long.
    public func balance(of project: ProjectID, _ minutes: Range<Int64>, for asker: Asker = .staying) async throws -> PipelineBalance {
        try await asker.whileWaiting {
            try await gate(for: project) {
                try await read(project, minutes, since: min(minutes.lowerBound, clock.now().minute - Self.keptMinutes))
            }
        }
    }

    /// Time of receipt of the oldest event in flight that was accepted in minute `first` or later; `nil` if there is none.
    func waiting(of project: ProjectID, since first: Int64) async throws -> Timestamp? {
        try await gate(for: project) { try await read(project, first..<first, since: first) }.waitsSince
    }

    private func read(_ project: ProjectID, _ minutes: Range<Int64>, since first: Int64) async throws(StoreError) -> PipelineBalance {
        let now = clock.now()
        // Later minutes show which minutes the processors have passed. The clock of another process may be ahead.
        let read = first..<max(minutes.upperBound, now.minute + 2)
        return PipelineBalance(try await store.pipelineCells(of: project, minutes: read), range: minutes, asOf: now)
    }
}
