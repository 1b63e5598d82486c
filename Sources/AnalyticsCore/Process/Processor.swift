public import Logging
public import ServiceLifecycle

/// Takes deliveries from the queue to the store: decode → enrich → buffer → flush.
///
/// Each connection to the broker is worked off by a ``SessionPipeline`` of its own, which ends with it. What is held is bounded: by the
/// broker's prefetch, and, of what is decoded, by the buffer and the flushes under way. When the store is slow or down, flushes take
/// longer, nothing more is taken, and the broker delivers no more: the processor slows down and loses nothing.
public final class Processor: Service {
    public struct Settings: Sendable {
        /// Events a flush writes at the most (one delivery more or less).
        public var flushEvents: Int
        /// How long an event waits for others at the most.
        public var flushInterval: Duration
        /// Deliveries held and not yet acknowledged.
        public var prefetch: Int
        /// Flushes under way at a time.
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

    /// `firstRetentionDays`: what a project that is new is given.
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

    /// Runs until cancelled, or until a graceful shutdown has written and acknowledged what was held. Throws a ``BrokerError`` when the
    /// queue cannot be consumed any more.
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
