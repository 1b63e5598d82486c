/// Answers what became of what was accepted.
public struct PipelineReader: Sendable {
    private let store: any PipelineStore
    private let gate: QueryGate
    private let clock: WallClock

    public init(store: any PipelineStore, gate: QueryGate, clock: WallClock) {
        self.store = store
        self.gate = gate
        self.clock = clock
    }

    /// Minutes that are kept.
    public static let keptMinutes: Int64 = 24 * 60

    /// The balance of the minutes of a range, and the lag of the whole day. Throws a ``QueryLimitError`` when it is not its turn, or not done,
    /// in time.
    public func balance(of project: ProjectID, _ minutes: Range<Int64>, for asker: Asker = .staying) async throws -> PipelineBalance {
        try await asker.whileWaiting {
            try await gate { try await read(project, minutes, since: min(minutes.lowerBound, clock.now().minute - Self.keptMinutes)) }
        }
    }

    /// Since when the oldest event in flight waits of those that came in in the minute `first` or later; `nil` where there is none.
    func waiting(of project: ProjectID, since first: Int64) async throws -> Timestamp? {
        try await gate { try await read(project, first..<first, since: first) }.waitsSince
    }

    private func read(_ project: ProjectID, _ minutes: Range<Int64>, since first: Int64) async throws(StoreError) -> PipelineBalance {
        let now = clock.now()
        // What was accepted later tells what has been overtaken. Another process's clock may be ahead.
        let read = first..<max(minutes.upperBound, now.minute + 2)
        return PipelineBalance(try await store.pipelineCells(of: project, minutes: read), range: minutes, asOf: now)
    }
}
