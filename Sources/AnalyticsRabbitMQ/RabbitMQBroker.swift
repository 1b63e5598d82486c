public import AnalyticsCore
public import Logging
import Synchronization

/// The broker port over RabbitMQ: quorum queues, persistent messages, publisher confirms.
///
/// Connects at once and in the background. During an outage calls return errors; the adapter reconnects by itself. There is one thread and
/// connection for publishing, one per consumer, and one for ``depths()`` from its first call on: an alarm on the broker blocks
/// only publishing connections. End it with ``shutdown()``.
public final class RabbitMQBroker: Broker {
    private struct Links {
        var consumers: [Int: (link: Link<ConsumerRole>, gauge: ConsumerGauge)] = [:]
        var nextConsumer = 0
        var inspector: Link<InspectorRole>?
        var owner: QueueOwner?
        var isShutDown = false
    }

    private let address: BrokerAddress
    private let topology: TopologyDeclaration
    private let settings: LinkSettings
    private let logger: Logger
    private let publisher: Link<PublisherRole>
    private let links = Mutex(Links())
    private let publishedBytes = Mutex(0)
    private let epochs = EpochSource()
    private let metrics = BrokerMetrics()

    /// `url` is `amqp://user:password@host:port/vhost`, or `amqps` with ``BrokerTLS``. Errors do not contain it, because it holds a password.
    /// Throws only for an invalid `url`, files of it that cannot be used, or invalid `names`. An unreachable broker is an outage;
    /// ``checkHealth()`` reports it.
    public convenience init(url: String, names: Topology = .standard, logger: Logger) throws(BrokerError) {
        try self.init(url: url, names: names, logger: logger, settings: LinkSettings())
    }

    init(url: String, names: Topology, logger: Logger, settings: LinkSettings) throws(BrokerError) {
        guard [names.events, names.deadLetters, names.owner].allSatisfy({ (1...255).contains($0.utf8.count) && !$0.utf8.contains(0) })
        else {
            throw BrokerError(.misconfigured, "names of queues and exchanges have 1 to 255 bytes")
        }
        address = try BrokerAddress(url: url)
        try TLSSession.check(address)
        if address.tls?.isVerified == false { logger.warning("The certificate of RabbitMQ is not verified: verify=verify_none") }
        let topology = TopologyDeclaration(names)
        self.topology = topology
        self.settings = settings
        self.logger = logger
        publisher = Link(name: "analytics publisher", address: address, settings: settings, logger: logger) {
            PublisherRole(topology: topology, settings: settings)
        }
    }

    deinit {
        stop()
    }

    /// Waits for outstanding confirms (at most 5 s), closes all connections (at most 2 s more) and ends all consumers.
    /// Unacknowledged messages return to their queue.
    public func shutdown() async {
        let stopped = stop()
        await publisher.finished()
        await stopped.inspector?.finished()
        for consumer in stopped.consumers.values { await consumer.link.finished() }
    }

    @discardableResult
    private func stop() -> Links {
        publisher.stop()
        let links = links.withLock { links in
            links.isShutDown = true
            return links
        }
        links.inspector?.stop()
        for consumer in links.consumers.values { consumer.link.stop() }
        return links
    }
}

// MARK: - Publishing

extension RabbitMQBroker {
    /// Returns within 10 s. Calls are pipelined over one connection. If calls that have not returned hold 64 MiB of bodies, further
    /// calls are refused at once.
    public func publish(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome] {
        guard !messages.isEmpty else { return [] }
        return await metrics.publish(to: queue) { await send(messages, to: queue) }
    }

    private func send(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome] {
        let bytes = messages.reduce(0) { $0 + $1.body.count }
        let hasRoom = publishedBytes.withLock { held in
            guard held == 0 || held + bytes <= settings.publishBytes else { return false }
            held += bytes
            return true
        }
        guard hasRoom else { return Self.refused(messages, "the publisher is full") }
        defer { publishedBytes.withLock { $0 -= bytes } }
        return await withCheckedContinuation { continuation in
            let deadline = ContinuousClock.now + settings.confirmTimeout
            let call = PublishCall(messages: messages, queue: queue, deadline: deadline) { continuation.resume(returning: $0) }
            if !publisher.post(.publish(call)) { call.reply(Self.refused(messages, "the publisher is shutting down")) }
        }
    }

    private static func refused(_ messages: [OutgoingMessage], _ reason: String) -> [PublishOutcome] {
        Array(repeating: .unconfirmed(reason), count: messages.count)
    }
}

// MARK: - Consuming

extension RabbitMQBroker {
    /// Later consumers consume for this store. If another store owns the queue, they end with
    /// ``BrokerError/Code/owned``. While they run, no other store can own it.
    public func claim(for owner: QueueOwner) {
        links.withLock { $0.owner = owner }
    }

    /// `prefetch` is at most 65,535. At the end this waits until the broker has read the acknowledgements and confirmed the close: at most
    /// 2 s, plus the rest of an attempt to connect.
    public func withConsumer(prefetch: Int, _ body: @Sendable (QueueConsumer) async throws -> Void) async throws {
        let mailbox = Mailbox<ConsumerRole.Command>()
        let consumer = QueueConsumer(
            demand: { _ in _ = mailbox.post(.consume) }, acknowledge: { _ = mailbox.post(.acknowledge($0)) })
        let key = startConsumer(consumer, prefetch: UInt16(clamping: max(prefetch, 1)), mailbox)
        if key == nil { consumer.finish() }
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(consumer))
        } catch {
            result = .failure(error)
        }
        if let key, let link = links.withLock({ $0.consumers.removeValue(forKey: key) })?.link {
            link.stop()
            await link.finished()
        }
        try result.get()
    }

    private func startConsumer(_ consumer: QueueConsumer, prefetch: UInt16, _ mailbox: Mailbox<ConsumerRole.Command>) -> Int? {
        links.withLock { links in
            guard !links.isShutDown else { return nil }
            let gauge = ConsumerGauge()
            let claim = links.owner.map { QueueClaim(owner: $0, settings: settings, logger: logger) }
            let link = Link(name: "analytics consumer", address: address, settings: settings, logger: logger, mailbox: mailbox) {
                [topology, settings, logger, epochs] in
                ConsumerRole(
                    topology: topology, claim: claim, prefetch: prefetch, settings: settings, consumer: consumer, gauge: gauge,
                    logger: logger, makeEpoch: epochs.next)
            }
            links.consumers[links.nextConsumer] = (link, gauge)
            links.nextConsumer += 1
            return links.nextConsumer - 1
        }
    }
}

/// Numbers the connections of all consumers.
private final class EpochSource: Sendable {
    private let last = Atomic<UInt64>(0)

    @Sendable func next() -> UInt64 {
        last.wrappingAdd(1, ordering: .relaxed).newValue
    }
}

// MARK: - Inspecting

extension RabbitMQBroker {
    /// `unacknowledged` counts deliveries of this process only. Returns within 10 s.
    public func depths() async throws(BrokerError) -> QueueDepths {
        try await metrics.timers.time(.depths) { () throws(BrokerError) in try await countMessages() }
    }

    private func countMessages() async throws(BrokerError) -> QueueDepths {
        guard let link = inspector() else { throw BrokerError(.unavailable, "the broker's adapter is shut down") }
        let result: Result<InspectorRole.Counts, BrokerError> = await withCheckedContinuation { continuation in
            let command = InspectorRole.Command(deadline: .now + settings.replyTimeout) { continuation.resume(returning: $0) }
            if !link.post(command) { command.reply(.failure(BrokerError(.unavailable, "the broker's adapter is shut down"))) }
        }
        let counts = try result.get()
        let outstanding = links.withLock { links in
            links.consumers.values.reduce(0) { $0 + $1.gauge.outstanding.load(ordering: .relaxed) }
        }
        return QueueDepths(ready: counts.ready, unacknowledged: outstanding, dead: counts.dead)
    }

    private func inspector() -> Link<InspectorRole>? {
        links.withLock { links in
            guard !links.isShutDown else { return nil }
            if let inspector = links.inspector { return inspector }
            let link = Link(name: "analytics inspector", address: address, settings: settings, logger: logger) { [topology] in
                InspectorRole(topology: topology)
            }
            links.inspector = link
            return link
        }
    }

    /// Waits for a running attempt to connect.
    public func checkHealth() async throws(BrokerError) {
        try await metrics.timers.time(.checkHealth) { () throws(BrokerError) in
            let obstacle: BrokerError? = await withCheckedContinuation { continuation in
                let reply: @Sendable (BrokerError?) -> Void = { continuation.resume(returning: $0) }
                if !publisher.post(.checkHealth(reply)) { reply(BrokerError(.unavailable, "the publisher is shut down")) }
            }
            if let obstacle { throw obstacle }
        }
    }
}

// MARK: - Reading the dead letters

extension RabbitMQBroker {
    /// AMQP has no positions in a queue: pages have none, and `position` must be `nil`. Returns within 15 s.
    public func deadLetters(
        after position: DeadLetterPosition?, limit: DeadLetterLimit
    ) async throws(BrokerError) -> DeadLetterPage {
        try await metrics.timers.time(.deadLetters) { () throws(BrokerError) in try await readDeadLetters(after: position, limit) }
    }

    private func readDeadLetters(
        after position: DeadLetterPosition?, _ limit: DeadLetterLimit
    ) async throws(BrokerError) -> DeadLetterPage {
        guard position == nil else {
            throw BrokerError(.misconfigured, "RabbitMQ has no positions in a queue: only its first letters are read")
        }
        guard links.withLock({ !$0.isShutDown }) else { throw BrokerError(.unavailable, "the broker's adapter is shut down") }
        let mailbox = Mailbox<Never>()
        let latest = Instant.now + settings.replyTimeout * 2
        let deadline = min(Deadline.current?.instant ?? latest, latest)
        let result: Result<DeadLetterReaderRole.Outcome, BrokerError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                _ = Link(
                    name: "analytics dead letter reader", address: address, settings: settings, logger: logger, mailbox: mailbox
                ) { [topology] in
                    DeadLetterReaderRole(topology: topology, deadline: deadline, pass: DeadLetterReading(limit)) {
                        continuation.resume(returning: $0)
                    }
                }
            }
        } onCancel: {
            mailbox.close()
        }
        mailbox.close()
        await mailbox.finished()
        let reading = try result.get()
        await waitForReturn(of: reading.waiting, until: .now + settings.goodbyeTimeout)
        return reading.page.page(hasMore: reading.waiting > reading.page.count)
    }

    /// The broker returns the letters to the queue a few milliseconds after the close; until then the queue looks shorter.
    fileprivate func waitForReturn(of count: Int, until deadline: Instant) async {
        while .now < deadline, !Task.isCancelled {
            // A failed reading says nothing.
            if let dead = try? await depths().dead, dead >= count { return }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}

// MARK: - Erasing dead letters

extension RabbitMQBroker {
    /// Time limit for all letters of one round. Letters acknowledged before it are deleted.
    private static let erasureTime: Duration = .seconds(60)
    private static let erasureRounds = 5

    /// Repeats the pass until it finds no letter to erase: a quorum queue may lose acknowledgements sent just before the close. Reads at
    /// most 65,535 letters.
    public func eraseDeadLetters(
        where isErased: @escaping @Sendable (DeadLetter) -> Bool?
    ) async throws(BrokerError) -> DeadLetterErasure {
        var total = DeadLetterErasure()
        for _ in 0..<Self.erasureRounds {
            let erasure = try await eraseOnce(where: isErased)
            total.unread = erasure.unread
            if erasure.erased == 0 { return total }
            // Letters that are delivered again are counted once.
            total.erased = max(total.erased, erasure.erased)
        }
        throw BrokerError(.unavailable, "dead letters that were acknowledged are still there")
    }

    private func eraseOnce(where isErased: @escaping @Sendable (DeadLetter) -> Bool?) async throws(BrokerError) -> DeadLetterErasure {
        guard links.withLock({ !$0.isShutDown }) else { throw BrokerError(.unavailable, "the broker's adapter is shut down") }
        let mailbox = Mailbox<Never>()
        let deadline = Instant.now + Self.erasureTime
        let result: Result<DeadLetterEraserRole.Outcome, BrokerError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                _ = Link(
                    name: "analytics dead letter eraser", address: address, settings: settings, logger: logger, mailbox: mailbox
                ) { [topology] in
                    DeadLetterEraserRole(topology: topology, deadline: deadline, pass: DeadLetterErasing(where: isErased)) {
                        continuation.resume(returning: $0)
                    }
                }
            }
        } onCancel: {
            mailbox.close()
        }
        mailbox.close()
        await mailbox.finished()
        let outcome = try result.get()
        await waitForReturn(of: outcome.waiting - outcome.erasure.erased, until: .now + settings.goodbyeTimeout)
        return outcome.erasure
    }

    /// Does nothing: the broker manages its own files.
    public func overwriteDeleted() async throws(BrokerError) {}
}
