/// `?wait=stored`: waits until accepted events can be queried.
public struct StoredWait: Sendable {
    public struct Outcome: Sendable, Equatable {
        public var stored = 0
        /// Their ids were taken already.
        public var duplicates = 0
        /// Not to be seen yet when the time was up.
        public var pending = 0

        public init(stored: Int = 0, duplicates: Int = 0, pending: Int = 0) {
            self.stored = stored
            self.duplicates = duplicates
            self.pending = pending
        }
    }

    private let store: any Store

    public init(store: any Store) {
        self.store = store
    }

    /// Polls the store, at growing intervals, for about `timeout`: what comes on top is at the most one operation of the store's. A store
    /// that is away is waited for like one that is slow.
    public func wait(
        for events: [AcceptedEvent], project: String, timeout: Duration, clock: some Clock<Duration> = ContinuousClock()
    ) async -> Outcome {
        let deadline = clock.now.advanced(by: timeout)
        var outcome = Outcome(pending: events.count)
        var missing = events
        var interval: Duration = .milliseconds(5)
        while !missing.isEmpty, !Task.isCancelled {
            let receipts = (try? await store.receipts(project: project, ids: missing.map(\.id))) ?? [:]
            if await mark(missing.filter { receipts[$0.id] != nil }, project: project) {
                missing.removeAll { event in
                    guard let receipt = receipts[event.id] else { return false }
                    if receipt == event.receipt { outcome.stored += 1 } else { outcome.duplicates += 1 }
                    return true
                }
                outcome.pending = missing.count
            }
            guard !missing.isEmpty, clock.now.advanced(by: interval) < deadline else { break }
            try? await clock.sleep(for: interval)
            interval = min(interval * 2, .milliseconds(250))
        }
        return outcome
    }

    /// An event can be seen in the store a moment before the processor has marked its minute, and counts would miss it. Marking is
    /// harmless to repeat, so this does not wait for the processor: it marks, and then counts see the event for sure.
    private func mark(_ events: [AcceptedEvent], project: String) async -> Bool {
        guard !events.isEmpty else { return true }
        var marks = BucketMarks()
        for event in events { marks.touch(project: project, event.timestamp) }
        do {
            try await marks.write(to: store)
            return true
        } catch {
            return false
        }
    }
}
