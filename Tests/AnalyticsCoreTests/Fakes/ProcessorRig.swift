import Logging
import TestSupport
import Testing

@testable import AnalyticsCore

/// A processor over fakes that share one plan of faults.
struct ProcessorRig {
    let faults = Faults()
    let store: MemoryStore
    let broker: MemoryBroker
    /// Ids of events in the order in which deliveries were decoded.
    let decoded = Recorded<String>()

    init() {
        store = MemoryStore(faults: faults)
        broker = MemoryBroker(faults: faults)
    }

    func processor(
        flushEvents: Int = 2_000, flushInterval: Duration = .milliseconds(4), prefetch: Int = 500, concurrentFlushes: Int = 2,
        elapsed: ElapsedClock = .system
    ) -> Processor {
        Processor(
            broker: broker, store: store, enrichments: [Enrichment("test") { [decoded] input, _ in decoded.append(input.event.id) }],
            settings: .init(
                flushEvents: flushEvents, flushInterval: flushInterval, prefetch: prefetch, concurrentFlushes: concurrentFlushes),
            clock: .fixed(noon), elapsed: elapsed, makeID: .uuid7(clock: .fixed(noon)),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func start(_ processor: Processor) -> Task<Void, any Error> { Task { try await processor.run() } }

    /// Enqueues a delivery on which this many processes have died, each by itself with it.
    func giveUp(on body: [UInt8], attempts: Int = DeadLetterPolicy.processingAttempts, redeliveries: Int = 0) {
        store.plantAttempts(attempts, on: Digest.hexadecimal(of: body))
        broker.enqueue([body], redeliveries: DeadLetterPolicy.recordFrom + redeliveries)
    }

    /// What must hold once the queue is empty: each event once, every minute marked or counted, and every hour marked.
    func expectStored(_ ids: [String], location: SourceLocation = #_sourceLocation) {
        #expect(store.events.map(\.event.id).sorted() == ids.sorted(), sourceLocation: location)
        let events = Dictionary(grouping: store.events.map(\.event)) { BucketKey(project: $0.project, index: $0.timestamp.minute) }
        let minutes = Set(
            store.buckets(.minute).filter { $0.dirty || $0.groups.reduce(0) { $0 + $1.count } == events[$0.key]?.count ?? 0 }.map(\.key))
        let hours = Set(store.buckets(.hour).filter(\.dirty).map(\.key))
        for stored in store.events {
            let minute = BucketKey(project: stored.event.project, index: stored.event.timestamp.minute)
            #expect(minutes.contains(minute), "minute of \(stored.event.id)", sourceLocation: location)
            #expect(hours.contains(minute.hour), "hour of \(stored.event.id)", sourceLocation: location)
        }
    }
}

func bodies(_ ids: [String]) -> [[UInt8]] { ids.map { message([sample($0)], request: "r-\($0)").body } }

func names(_ count: Int) -> [String] { (0..<count).map { "e\($0)" } }
