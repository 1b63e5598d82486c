internal import AsyncAlgorithms
internal import CoreMetrics
internal import Logging
internal import Metrics

/// Processes the deliveries of one session in child tasks: one collects deliveries into batches, another writes several batches at a time,
/// each in its own task. A batch is handed over only when a writer is ready, so at most one batch is decoded beyond those being written.
actor SessionPipeline {
    typealias Entry = Flush.Entry

    private enum Batch: Sendable {
        case together(number: Int, [Entry])
        /// Suspect: not even decoded before all earlier deliveries are written and acknowledged.
        case alone(Delivery)
    }

    private static let flushBytes = 8 << 20
    private static let lag = MetricCatalogue.metrics.eventLag.make()

    private let session: DeliverySession
    private let flush: Flush
    private let preparation: EventPreparation
    private let settings: Processor.Settings
    private let clock: WallClock
    private let elapsed: ElapsedClock
    private let logger: Logger

    private let batches = AsyncChannel<Batch>()
    private var buffer: WriteBuffer
    /// Yields when the empty buffer gets an entry.
    private let (filled, fill) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    /// Batches that left the buffer and are not yet written, by number: time of receipt of the oldest event.
    private var unwritten: [Int: Timestamp] = [:]
    private var lastNumber = 0
    /// Number of batches that wait for a writer.
    private var handingOver = 0
    private var untilHandedOver: CheckedContinuation<Void, Never>?

    init(
        session: DeliverySession, flush: Flush, enrichments: [Enrichment], settings: Processor.Settings, clock: WallClock,
        elapsed: ElapsedClock, logger: Logger
    ) {
        self.session = session
        self.flush = flush
        preparation = EventPreparation(enrichments: enrichments, clock: clock)
        self.settings = settings
        self.clock = clock
        self.elapsed = elapsed
        self.logger = logger
        buffer = WriteBuffer(
            limits: .init(
                events: settings.flushEvents, deliveries: max(1, settings.prefetch / 2), bytes: Self.flushBytes,
                interval: settings.flushInterval))
    }

    /// Returns when the session's deliveries have ended and all taken ones are written and acknowledged; if cancelled, when the attempts in
    /// progress have ended.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.collect() }
            group.addTask { await self.handOverWhenDue() }
            group.addTask { await self.reportLag() }
            await self.write()
            group.cancelAll()
        }
        Self.lag.record(0)
    }

    // MARK: Collecting

    private func collect() async {
        for await delivery in session {
            guard delivery.redeliveries < DeadLetterPolicy.isolateFrom else {
                if let entries = buffer.drain() { await handOver(entries) }
                await batches.send(.alone(delivery))
                continue
            }
            do throws(EnvelopeError) {
                let wasEmpty = buffer.isEmpty
                if let entries = buffer.add(try preparation(delivery), now: elapsed.now()) {
                    await handOver(entries)
                } else if wasEmpty {
                    fill.yield()
                }
            } catch {
                await untilCancelled { [flush] in try await flush.deadLetter(delivery, .undecodable, error.message) }
            }
        }
        if let entries = buffer.drain() { await handOver(entries) }
        // A batch that was due before may still wait: the end of the channel would drop it.
        if handingOver > 0 { await withCheckedContinuation { untilHandedOver = $0 } }
        batches.finish()
    }

    /// If no flush can begin, the buffer keeps filling.
    private func handOverWhenDue() async {
        for await _ in filled {
            while !buffer.isEmpty, await pause(for: buffer.limits.idleInterval) {
                guard unwritten.count < settings.concurrentFlushes,
                    let entries = buffer.tick(now: elapsed.now(), isIdle: unwritten.isEmpty)
                else { continue }
                await handOver(entries)
            }
        }
    }

    private func reportLag() async {
        repeat {
            let oldest = (unwritten.values + [buffer.oldest].compactMap(\.self)).min()
            Self.lag.record(oldest.map { max(0, (clock.now() - $0).seconds) } ?? 0)
        } while await pause(for: settings.flushInterval / 2)
    }

    /// Returns whether to continue.
    private func pause(for duration: Duration) async -> Bool {
        (try? await elapsed.sleep(duration)) != nil
    }

    /// Returns when a writer takes the entries: this slows the collecting task down.
    private func handOver(_ entries: [Entry]) async {
        lastNumber += 1
        let number = lastNumber
        unwritten[number] = entries.oldest ?? clock.now()
        handingOver += 1
        await batches.send(.together(number: number, entries))
        handingOver -= 1
        guard handingOver == 0 else { return }
        untilHandedOver?.resume()
        untilHandedOver = nil
    }

    // MARK: Writing

    private func write() async {
        await withTaskGroup(of: Void.self) { flushes in
            var underWay = 0
            for await batch in batches {
                switch batch {
                case .together(let number, let entries):
                    flushes.addTask { await self.write(entries, number: number) }
                    underWay += 1
                    guard underWay == settings.concurrentFlushes else { continue }
                    await flushes.next()
                    underWay -= 1
                case .alone(let delivery):
                    await flushes.waitForAll()
                    underWay = 0
                    await writeAlone(delivery)
                }
            }
        }
    }

    private func write(_ entries: [Entry], number: Int) async {
        do {
            try await flush(entries)
        } catch {
            logger.info("Flush cancelled; the broker delivers its messages again", metadata: ["deliveries": "\(entries.count)"])
        }
        unwritten[number] = nil
    }

    private func writeAlone(_ delivery: Delivery) async {
        guard !Task.isCancelled else { return }
        guard delivery.redeliveries >= DeadLetterPolicy.recordFrom else { return await processAlone(delivery) }
        await untilCancelled { [flush] in
            switch try await flush.beginAttempt(on: delivery) {
            case .process: await self.processAlone(delivery)
            case .salvage: try await flush.salvage(delivery)
            case .discard: try await flush.discard(delivery)
            }
            try Task.checkCancellation()
            await flush.forgetAttempts(on: delivery)
        }
    }

    private func processAlone(_ delivery: Delivery) async {
        do throws(EnvelopeError) {
            let entry = try preparation(delivery)
            lastNumber += 1
            unwritten[lastNumber] = [entry].oldest ?? clock.now()
            await write([entry], number: lastNumber)
        } catch {
            await untilCancelled { [flush] in try await flush.deadLetter(delivery, .undecodable, error.message) }
        }
    }

    /// `body` throws only if cancelled.
    private func untilCancelled(_ body: @Sendable () async throws -> Void) async {
        do {
            try await body()
        } catch {
            logger.info("Delivery cancelled; the broker delivers it again")
        }
    }
}
