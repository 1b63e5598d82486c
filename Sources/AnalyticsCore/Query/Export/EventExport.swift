internal import ServiceLifecycle

/// Reads all selected events, of any number, in slices as the caller takes them, in the order of a listing. Each slice passes the
/// gate of questions and has its own timeout; the export as a whole has none.
public struct EventExport: Sendable {
    public struct Limits: Sendable {
        /// Maximum number of events in a slice, and their approximate bytes.
        public var events = 2_000
        public var bytes = EventExport.sliceBytes
        /// Maximum time that a slice may take in the store; at most half a question's timeout. If a slice takes longer, the next
        /// ones cover shorter ranges.
        public var sliceTime = Duration.seconds(5)
        /// The time to wait for an unavailable store, or for a full gate.
        public var outage = Duration.seconds(30)

        public init() {}
    }

    public static let sliceBytes = 1 << 20

    private let store: any EventStore
    private let gate: QueryGate
    private let limits: Limits
    private let elapsed: ElapsedClock
    private var plan: ExportPlan
    private var hasBegun = false

    init(store: any EventStore, gate: QueryGate, limits: Limits, elapsed: ElapsedClock, plan: ExportPlan) {
        self.store = store
        self.gate = gate
        self.limits = limits
        self.elapsed = elapsed
        self.plan = plan
    }

    /// The position after the events read; `nil` at the start.
    public var cursor: EventCursor? { plan.position.map { EventCursor(position: $0) } }

    /// The next slice, which may be empty; `nil` at the end.
    ///
    /// Throws a ``QueryLimitError`` or ``StoreError`` if the store does not answer: at once for the first slice, for later slices
    /// after ``Limits/outage``. After an error, the next call reads the same slice.
    public mutating func next(for asker: Asker) async throws -> [StoredEvent]? {
        guard !plan.isAtEnd else { return nil }
        let deadline = elapsed.now() + limits.outage
        var backoff = Backoff(first: .milliseconds(100))
        while true {
            let start = elapsed.now()
            let events: [StoredEvent]?
            do {
                events = try await slice(for: asker)
            } catch  where hasBegun && Self.passes(error) {
                let pause = backoff.next()
                guard elapsed.now() + pause < deadline else { throw error }
                try await elapsed.sleep(pause)
                continue
            }
            hasBegun = true
            return try took(events, (elapsed.now() - start) / sliceTime)
        }
    }

    private static func passes(_ error: any Error) -> Bool {
        // A cancelled export or a process that shuts down does not wait for the store.
        if Task.isCancelled || Task.isShuttingDownGracefully { return false }
        return (error as? StoreError)?.code == .unavailable || error is QueryLimitError
    }

    private var sliceTime: Duration { min(limits.sliceTime, gate.timeout / 2) }

    private mutating func took(_ events: [StoredEvent]?, _ part: Double) throws(QueryLimitError) -> [StoredEvent] {
        guard let events else {
            guard plan.tookTooLong() else { throw .timeout(sliceTime) }
            return []
        }
        let isFull = events.count >= limits.events || events.reduce(0) { $0 + $1.size } >= limits.bytes
        plan.gave(upTo: events.last?.position, isFull: isFull, in: part)
        return events
    }

    /// `nil` if it takes longer than ``sliceTime``.
    private func slice(for asker: Asker) async throws -> [StoredEvent]? {
        try await asker.whileWaiting { [store, gate, limits, plan, sliceTime] in
            try await gate(for: plan.slice.project) {
                do throws(StoreError) {
                    return try await Deadline.within(sliceTime) { () async throws(StoreError) in
                        try await store.events(
                            matching: plan.slice, after: plan.position, limit: limits.events, byteLimit: limits.bytes)
                    }
                } catch {
                    guard error.code == .timedOut || error.cause is DeadlineError else { throw error }
                    return nil
                }
            }
        }
    }
}

extension EventReader {
    /// - Parameter now: The start of the export.
    public func export(
        _ selection: Selection, after position: EventPosition?, now: Timestamp, limits: EventExport.Limits = .init(),
        elapsed: ElapsedClock = .system
    ) -> EventExport {
        EventExport(
            store: store, gate: gate, limits: limits, elapsed: elapsed, plan: ExportPlan(selection, after: position, now: now))
    }
}
