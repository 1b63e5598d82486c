/// Discards a day's segment after events were deleted. It is rebuilt as a whole, since runs keep the rows of minutes that later runs
/// have replaced.
///
/// Call it after the deletion, and before the day is marked. The head is swapped even if it names nothing: a builder that read events
/// before the deletion has read the old head, so its write is refused. A builder that reads the new head reads the remaining events.
struct SegmentDiscard: Sendable {
    let store: any SegmentStore

    /// Maximum number of attempts while other builders write first.
    private static let attempts = 50

    func callAsFunction(_ project: ProjectID, day: Int64, at now: Timestamp) async throws(StoreError) {
        for _ in 0..<Self.attempts {
            let stored = try await store.segmentHeads(of: project, days: [day..<day + 1]).first
            var head = stored.flatMap { try? SegmentHead(day: day, encoded: $0.bytes) } ?? SegmentHead(day: day)
            head.discard(at: now)
            let revision = stored?.revision ?? 0
            let next = StoredSegmentHead(project: project, day: day, revision: revision + 1, bytes: head.encoded)
            if try await store.writeSegmentHead(next, replacing: revision) { return }
        }
        throw StoreError(.unavailable, operation: "discard", "segments change faster than they can be discarded")
    }
}

extension SegmentHead {
    /// Lists all runs for deletion, including those that a builder may be writing: its write is then refused.
    mutating func discard(at now: Timestamp) {
        let written = builds.map(\.id) + leftovers.filter(\.isBegun).map(\.run)
        let leftovers = leftovers.filter { !$0.isBegun } + written.map { Leftover(run: $0, since: now, isBegun: false) }
        self = SegmentHead(day: day)
        self.leftovers = leftovers
    }
}
