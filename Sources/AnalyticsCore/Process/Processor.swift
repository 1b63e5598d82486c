public import Logging
public import ServiceLifecycle

/// Moves deliveries from the queue to the store: decode → enrich → buffer → flush.
///
/// Each connection to the broker has a ``SessionPipeline``, which ends with it. Held events are bounded by the broker's prefetch and, once
/// decoded, by the buffer and the in-flight flushes. If the store is slow or down, flushes take longer, the processor takes no more
/// deliveries, and the broker delivers no more. No event is lost.
public final class Processor: Service {
    public struct Settings: Sendable {
        /// Maximum events per flush, plus or minus one delivery.
        public var flushEvents: Int
        /// Maximum time that an event waits for others.
        public var flushInterval: Duration
        /// Maximum unacknowledged deliveries.
        public var prefetch: Int
        /// Maximum in-flight flushes.
        public var concurrentFlushes: Int

        public init(flushEvents: Int = 2_000, flushInterval: Duration = .milliseconds(100), prefetch: Int = 500, concurrentFlushes: Int = 2)
        {
            self.flushEvents = flushEvents
            self.flushInterval = flushInterval
            self.prefetch = prefetch
            self.concurrentFlushes = concurrentFlushes
        }
    }

    private let broker: any EventPublisher & EventConsumer
    private let store: any ProcessorStore
    private let settings: Settings
    private let enrichments: [Enrichment]
    private let clock: WallClock
    private let elapsed: ElapsedClock
    private let logger: Logger
    private let processId: String
    private let successes = InsertSuccesses()
    private let gate: RetentionGate
    private let erasures: ErasureGate
    private let ledger: PipelineLedger

    /// `firstRetentionDays`: the retention of a new project.
    public init(
        broker: any EventPublisher & EventConsumer, store: any ProcessorStore, enrichments: [Enrichment], settings: Settings = Settings(),
        firstRetentionDays: Int = 0, clock: WallClock, elapsed: ElapsedClock = .system, makeID: IDGenerator, logger: Logger
    ) {
        self.broker = broker
        self.store = store
        self.settings = settings
        self.enrichments = enrichments
        self.clock = clock
        self.elapsed = elapsed
        self.logger = logger
        processId = makeID.next()
        gate = RetentionGate(store: store, firstRetentionDays: firstRetentionDays, clock: clock, elapsed: elapsed)
        erasures = ErasureGate(store: store, clock: clock)
        ledger = PipelineLedger(store: store, ids: makeID, elapsed: elapsed, logger: logger)
        EventMetrics.prepareProcessor()
    }

    /// Runs until cancelled, or until a graceful shutdown has written and acknowledged all held deliveries. Throws a ``BrokerError`` if the
    /// queue can no longer be consumed.
    public func run() async throws {
        try await broker.withConsumer(prefetch: settings.prefetch) { consumer in
            try await withGracefulShutdownHandler {
                try await consumer.forEachSession { session in await self.pipeline(for: session).run() }
            } onGracefulShutdown: {
                consumer.stop()
            }
        }
    }

    private func pipeline(for session: DeliverySession) -> SessionPipeline {
        SessionPipeline(
            session: session,
            flush: Flush(
                store: store, gate: gate, erasures: erasures, publisher: broker, session: session, clock: clock, elapsed: elapsed,
                logger: logger, processId: processId, successes: successes, ledger: ledger),
            enrichments: enrichments, settings: settings, clock: clock, elapsed: elapsed, logger: logger)
    }
}
