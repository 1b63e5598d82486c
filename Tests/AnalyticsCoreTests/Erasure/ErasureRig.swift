import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

/// A processor, workers, rollers and builders over one store and one queue, at a time that a test decides.
final class ErasureRig: Sendable {
    let rig = ProcessorRig()
    private let time = Mutex(noon)

    var store: MemoryStore { rig.store }
    var broker: MemoryBroker { rig.broker }
    var faults: Faults { rig.faults }
    var now: Timestamp { time.withLock { $0 } }
    var clock: WallClock { WallClock { self.now } }

    func advance(by duration: Duration) { time.withLock { $0 = $0 + duration } }

    func worker(_ name: String = "w", letters: (any DeadLetterEraser)? = nil) -> ErasureWorker {
        var settings = ErasureWorker.Settings()
        (settings.page, settings.pause) = (3, .zero)
        return ErasureWorker(
            store: store, letters: letters ?? broker, settings: settings, clock: clock, makeID: .counting(name), logger: quiet)
    }

    func erasures(_ prefix: String = "erasure") -> Erasures { Erasures(store: store, clock: clock, ids: .counting(prefix)) }

    func builder() -> SegmentBuilder {
        SegmentBuilder(store: store, clock: clock, elapsed: ManualClock().elapsed, chunkRows: 3, logger: quiet)
    }

    func settle() async throws {
        try await roller(store).finish()
        try await builder().finish()
    }

    /// Delivers what is in the queue, and waits until all of it is acknowledged or the process has crashed. Reports come after that: `isDone`.
    func process(_ processor: Processor? = nil, until isDone: () async throws -> Bool = { true }) async throws {
        let task = rig.start(processor ?? rig.processor(flushInterval: .milliseconds(1)))
        try await eventually("all is acknowledged") {
            if self.faults.hasCrashed { return true }
            let depths = try await self.broker.depths()
            guard depths.ready == 0 && depths.unacknowledged == 0 else { return false }
            return try await isDone()
        }
        task.cancel()
        #expect(await ends(task))
    }

    func restart() {
        faults.revive()
        broker.disconnect()
    }

    /// Works, an hour after another, until every erasure is done.
    func finish(_ worker: ErasureWorker? = nil) async throws {
        let worker = worker ?? self.worker("last")
        for _ in 0..<12 {
            advance(by: .seconds(3_700))
            try await worker.pass()
            try await settle()
            // What was given up is deleted once nobody reads it.
            advance(by: .seconds(700))
            try await settle()
            if try await worker.pass() { return }
        }
        Issue.record("not done: \(try await erasures().list(of: Project.default).map(\.state))")
    }

    /// What must hold once all is at rest.
    func expectExact(_ ids: Set<String>, _ comment: String = "", location: SourceLocation = #_sourceLocation) async throws {
        try await settle()
        #expect(Set(store.events.map(\.event.id)) == ids, "\(comment)", sourceLocation: location)
        let report = try await Reconciliation(store: store, pause: .zero).run()
        #expect(report.differences == [] && report.marked == 0, "\(comment)", sourceLocation: location)
        #expect(report.events == Int64(ids.count), "\(comment)", sourceLocation: location)
        let segments = try await SegmentCheck(store: store).run()
        #expect(segments.differences == [] && segments.stale == 0, "\(comment)", sourceLocation: location)
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        let counted = try await engine.counts(CountQuery(project: Project.default)).counts.total
        #expect(counted == Int64(ids.count), "\(comment)", sourceLocation: location)
    }
}

/// One that is received at its time.
func act(
    _ id: String, _ user: String? = nil, _ device: String? = nil, type: String = "view", at seconds: Int = 0, received: Timestamp = noon,
    data: String = "{}"
) -> Event {
    var event = sample(id, type: type, at: noon + .seconds(seconds), data: data)
    (event.userId, event.anonymousId, event.receivedAt) = (user, device, received)
    return event
}

/// As ``message(_:request:reportRequested:)``, under a request of its own.
func delivery(_ events: [Event]) -> [UInt8] {
    message(events, request: events[0].ingestIDParts.request, reportRequested: true).body
}
