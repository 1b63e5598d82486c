internal import CoreMetrics
public import Logging
internal import Metrics
public import ServiceLifecycle

/// Takes deliveries from the queue to the store: decode → enrich → buffer → flush.
///
/// What it holds is bounded by the broker's prefetch. When the store is slow or away, flushes take longer, the buffer is not emptied,
/// and the broker delivers no more: the processor slows down and loses nothing.
public actor Processor: Service {
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

    private static let flushBytes = 8 << 20

    private let broker: any EventPublisher & EventConsumer
    private let settings: Settings
    private let enrichments: [Enrichment]
    private let clock: WallClock
    private let logger: Logger
    private let flush: Flush

    private let decoder = ChunkDecoder()
    private let parser = JSONParser()
    private var buffer: WriteBuffer<ContinuousClock.Instant>
    private var poison = PoisonDetector()
    private var flights: [Int: (oldest: Timestamp, task: Task<Void, Never>)] = [:]
    private var flightNumber = 0
    private var oldestBuffered: Timestamp?
    private var isDraining = false
    private var isCancelled = false

    /// `firstRetentionDays`: what a project that is new is given.
    public init(
        broker: any EventPublisher & EventConsumer, store: any Store, enrichments: [Enrichment], settings: Settings = Settings(),
        firstRetentionDays: Int = 0, clock: WallClock, logger: Logger
    ) {
        self.broker = broker
        self.settings = settings
        self.enrichments = enrichments
        self.clock = clock
        self.logger = logger
        let gate = RetentionGate(store: store, firstRetentionDays: firstRetentionDays, clock: clock)
        flush = Flush(store: store, gate: gate, broker: broker, clock: clock, logger: logger)
        buffer = WriteBuffer(
            limits: .init(
                events: settings.flushEvents, deliveries: max(1, settings.prefetch / 2), bytes: Self.flushBytes,
                interval: settings.flushInterval))
        EventMetrics.prepareProcessor()
    }

    /// Runs until cancelled, or until a graceful shutdown has written and acknowledged what was held.
    public func run() async throws {
        await withTaskCancellationHandler {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.consume() }
                group.addTask { await self.tick() }
                group.addTask { try? await gracefulShutdown() }
                // The first to end is the shutdown (or a cancellation, which ends all three). The consumer's stream stays open
                // meanwhile: acknowledgements go the way that the deliveries came.
                await group.next()
                await drain()
                group.cancelAll()
            }
            // What a child was about to start when the drain looked.
            await drain()
        } onCancel: {
            // The time for a graceful end is up: what is not written stays with the broker.
            Task { await self.cancelFlights() }
        }
    }

    private func consume() async {
        for await delivery in broker.deliveries(prefetch: settings.prefetch) {
            // Not taken, and it comes again. To stop listening would end the consumer, and acknowledgements go the way of its deliveries.
            if isDraining { continue }
            await take(delivery)
        }
    }

    private func tick() async {
        let lag = Gauge(label: "analytics_event_lag_seconds")
        while !Task.isCancelled {
            // With no room for a flush the buffer may as well fill up; and this task must not wait, or the lag would stand still.
            if roomMaker == nil, let entries = buffer.tick(now: .now) { await start(entries) }
            lag.record(oldestHeld.map { max(0, (clock.now() - $0).seconds) } ?? 0)
            try? await Task.sleep(for: settings.flushInterval / 2)
        }
    }

    /// Receipt of the oldest event that is held and not yet stored.
    private var oldestHeld: Timestamp? {
        (flights.values.map(\.oldest) + [oldestBuffered].compactMap(\.self)).min()
    }

    private func drain() async {
        isDraining = true
        if let entries = buffer.drain() { await start(entries) }
        await finishFlights()
    }

    // MARK: A delivery

    private func take(_ delivery: Delivery) async {
        let disposition = poison.disposition(redeliveries: delivery.redeliveries)
        if disposition != .process {
            if let entries = buffer.drain() { await start(entries) }
            await finishFlights()
            // Not taken: it comes again.
            guard !isDraining else { return }
        }
        switch disposition {
        case .salvage: return await giveUp { [flush] in try await flush.salvage(delivery) }
        case .discard: return await giveUp { [flush] in try await flush.discard(delivery) }
        case .process, .isolate: break
        }
        do throws(ChunkError) {
            let chunk = try decoder.decode(delivery.body)
            let entry = Flush.Entry(
                handle: delivery.handle, redeliveries: delivery.redeliveries, events: enriched(chunk), sender: chunk.sender,
                waitingRequest: chunk.waitingRequest, bytes: delivery.body.count)
            oldestBuffered = [oldestBuffered, chunk.events.first?.receivedAt].compactMap(\.self).min()
            if let entries = buffer.add(entry, now: .now) { await start(entries) }
        } catch {
            await giveUp { [flush] in try await flush.deadLetter(delivery, .undecodable, error.message) }
        }
        if disposition == .isolate {
            if let entries = buffer.drain() { await start(entries) }
            await finishFlights()
        }
    }

    private func enriched(_ chunk: EventChunk) -> [StoredEvent] {
        let now = clock.now()
        return chunk.events.map { event in
            let input = EnrichmentInput(event: event, processedAt: now, hints: ClientHints(event, sender: chunk.sender, parser: parser))
            var context = EventContext()
            for enrichment in enrichments { enrichment.apply(input, &context) }
            return StoredEvent(event: event, processedAt: now, context: context.json, fingerprint: event.fingerprint)
        }
    }

    private func giveUp(_ body: @Sendable () async throws -> Void) async {
        do {
            try await body()
        } catch {
            logger.info("A delivery was not given up before the end; it comes again")
        }
    }

    // MARK: Flights

    /// Starts a flush, which waits until there is room for it, and returns when it has begun: the caller is held back with it.
    private func start(_ entries: [Flush.Entry]) async {
        guard !isCancelled else { return }
        let oldest = entries.compactMap { $0.events.first?.event.receivedAt }.min() ?? clock.now()
        oldestBuffered = nil
        let before = roomMaker
        let number = flightNumber
        flightNumber += 1
        let task = Task {
            await before?.value
            do {
                try await flush(entries)
            } catch {
                logger.info("A flush was cancelled; its deliveries come again", metadata: ["deliveries": "\(entries.count)"])
            }
            landed(number)
        }
        flights[number] = (oldest, task)
        await before?.value
    }

    /// What the next flush has to wait for: each follows the one that began ``Settings/concurrentFlushes`` before it.
    private var roomMaker: Task<Void, Never>? { flights[flightNumber - settings.concurrentFlushes]?.task }

    private func landed(_ number: Int) {
        flights[number] = nil
    }

    private func cancelFlights() {
        isCancelled = true
        for flight in flights.values { flight.task.cancel() }
    }

    private func finishFlights() async {
        while let flight = flights.values.first { await flight.task.value }
    }
}
