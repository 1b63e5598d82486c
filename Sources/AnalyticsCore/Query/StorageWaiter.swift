/// `?wait=stored`: waits until accepted events can be queried.
public struct StorageWaiter: Sendable {
    public struct Outcome: Sendable, Equatable {
        public var stored = 0
        /// Their ids were stored before.
        public var duplicates = 0
        /// The store rejected them for good; they are dead letters.
        public var refused = 0
        /// Erased before they were stored.
        public var erased = 0
        /// Not stored yet at the deadline.
        public var pending = 0

        public init(stored: Int = 0, duplicates: Int = 0, refused: Int = 0, erased: Int = 0, pending: Int = 0) {
            self.stored = stored
            self.duplicates = duplicates
            self.refused = refused
            self.erased = erased
            self.pending = pending
        }
    }

    private let store: any ReportStore

    public init(store: any ReportStore) {
        self.store = store
    }

    /// Polls the store for the processor's report on each delivery, at growing intervals, for about `timeout`. An unavailable store
    /// is polled like a slow one.
    public func wait(
        for events: [AcceptedEvent], of request: String, project: ProjectID, timeout: Duration, elapsed: ElapsedClock = .system
    ) async -> Outcome {
        let deadline = elapsed.now() + timeout
        // Unconfirmed deliveries may have arrived too; they are not among those waited for.
        let awaited = Set(events.map(\.index))
        var outcome = Outcome(pending: events.count)
        var backoff = Backoff(first: .milliseconds(5), cap: .milliseconds(100))
        while outcome.pending > 0, !Task.isCancelled {
            let reports = try? await Deadline.within(deadline - elapsed.now()) {
                try await store.reports(project: project, request: request)
            }
            if let reports {
                outcome = Outcome(pending: events.count)
                for report in reports where awaited.contains(report.first) && report.isPlausible { outcome.add(report) }
            }
            let interval = backoff.next()
            guard outcome.pending > 0, elapsed.now() + interval < deadline else { break }
            try? await elapsed.sleep(interval)
        }
        return outcome
    }
}

extension StorageWaiter.Outcome {
    fileprivate mutating func add(_ report: DeliveryReport) {
        stored += report.stored
        duplicates += report.duplicates
        refused += report.refused
        erased += report.erased
        pending -= report.events
    }
}
