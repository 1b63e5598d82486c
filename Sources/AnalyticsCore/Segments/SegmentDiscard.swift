/// Gives up a day's segment, of which events were deleted: runs keep the rows of minutes that later runs have replaced, so it is made anew as
/// a whole.
///
/// To be called after the deletion, and before the day is marked. The head is swapped in any case, also where it names nothing: a builder that
/// has read events before the deletion has read the head before, and finds another one when it comes to write. One that reads the new head
/// reads what is left of the events.
struct SegmentDiscard: Sendable {
    let store: any SegmentStore

    /// Builders that may be quicker, one after another.
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
    /// What it names is to be deleted, what somebody may be writing included: that finds another head.
    mutating func discard(at now: Timestamp) {
        let written = builds.map(\.id) + leftovers.filter(\.isBegun).map(\.run)
        let leftovers = leftovers.filter { !$0.isBegun } + written.map { Leftover(run: $0, since: now, isBegun: false) }
        self = SegmentHead(day: day)
        self.leftovers = leftovers
    }
}
