public import AnalyticsCore
import GRDB
public import Logging
import Synchronization

/// The broker of the service in one process: durable queues in one SQLite file, with the semantics of a quorum queue.
///
/// - Confirmed means committed and synced: it survives a power failure. Publishes that arrive during a commit share the next transaction.
/// - Unacknowledged deliveries are redelivered, before younger messages, when their consumer or the process ends. The delivery
///   count is written before the message is delivered, so a message that kills its process is detected.
/// - Only one process at a time: it holds the file's lock.
/// - The file grows with the backlog up to ``Limits/fileBytes``, and shrinks when the backlog is gone.
public final class SQLiteQueue: Broker {
    /// At each of these limits a publish is unconfirmed.
    public struct Limits: Sendable {
        /// Messages, and their bytes, that may wait for their commit.
        public var pendingMessages = 20_000
        public var pendingBytes = 64 * 1024 * 1024
        /// The size of the file, without the log beside it (32 MiB).
        public var fileBytes = 16 * 1024 * 1024 * 1024
        /// How long a publish waits for its commit.
        public var confirmTimeout: Duration = .seconds(10)
        /// Messages and bytes that one transaction writes, and messages that it hands out.
        var groupMessages = 5_000
        var groupBytes = 8 * 1024 * 1024
        var handoutMessages = 1_000
        /// Bytes of bodies: per transaction of deliveries (exceeded by one message at most), and waiting at a consumer before it gets more.
        var handoutBytes = 8 * 1024 * 1024
        var waitingBytes = 64 * 1024 * 1024

        public init() {}
    }

    let file: SQLiteQueueFile
    let limits: Limits
    let logger: Logger
    let state: Mutex<State>
    private let metrics = BrokerMetrics()

    /// Opens or creates the file; its folder must exist. Blocks while it reads the ids of the backlog, so call it at the start.
    ///
    /// Throws ``BrokerError/Code/misconfigured`` if the file cannot be used: missing permissions, not a queue, a newer
    /// version, or open in another process.
    public init(path: String, limits: Limits = Limits(), logger: Logger) throws {
        do {
            let (file, contents) = try SQLiteQueueFile.open(path: path, maximumBytes: limits.fileBytes)
            self.file = file
            self.limits = limits
            self.logger = logger
            state = Mutex(State(contents, limits: limits))
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
            throw BrokerError(.misconfigured, "\(path) is open in another process", cause: error)
        } catch let error as BrokerError {
            throw BrokerError(error.code, "\(path): \(error.message)", cause: error.cause)
        } catch {
            throw BrokerError(.misconfigured, "\(path) cannot be used: \(error)", cause: error)
        }
    }

    /// Accepts nothing more, ends all deliveries, commits pending publishes and acknowledgements, and closes the file.
    public func shutdown() async {
        for consumer in state.withLock({ $0.close() }) { consumer.finish() }
        while let worker = state.withLock({ $0.stop() }) { await worker.value }
        do {
            try file.close()
        } catch {
            logger.warning("the queue's file did not close", metadata: ["error": "\(error)"])
        }
    }

    public func publish(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome] {
        guard !messages.isEmpty else { return [] }
        return await metrics.publish(to: queue) { await enqueue(messages, to: queue) }
    }

    private func enqueue(_ messages: [OutgoingMessage], to queue: QueueName) async -> [PublishOutcome] {
        let bytes = messages.reduce(0) { $0 + $1.body.count }
        let outcome = await withCheckedContinuation { continuation in
            let entry = SQLiteQueueBacklog.Entry(messages: messages, queue: queue, bytes: bytes) { continuation.resume(returning: $0) }
            let refusal = state.withLock { state in
                let refusal = state.admit(entry)
                if refusal == nil { state.wake(startWorker) }
                return refusal
            }
            if let refusal { continuation.resume(returning: .unconfirmed(refusal)) }
        }
        return Array(repeating: outcome, count: messages.count)
    }

    /// One session as long as the queue is open: there is no connection to lose.
    public func withConsumer(prefetch: Int, _ body: @Sendable (QueueConsumer) async throws -> Void) async throws {
        let consumer = QueueConsumer { [self] consumer in
            state.withLock { state in
                state.add(consumer, prefetch: prefetch)
                state.wake(startWorker)
            }
        } acknowledge: { [self] handles in
            // Frees the prefetch slots at once; the next transaction deletes the rows. A crash before that means redelivery.
            state.withLock { state in
                state.ledger.acknowledge(handles)
                state.wake(startWorker)
            }
        }
        defer {
            state.withLock { state in
                state.remove(consumer)
                state.wake(startWorker)
            }
        }
        try await body(consumer)
    }

    public func depths() async throws(BrokerError) -> QueueDepths {
        try await metrics.timers.time(.depths) { () throws(BrokerError) in try countMessages() }
    }

    private func countMessages() throws(BrokerError) -> QueueDepths {
        try state.withLock { state throws(BrokerError) in
            if state.isClosed { throw BrokerError(.unavailable, State.closedReason) }
            return QueueDepths(ready: state.ledger.readyCount, unacknowledged: state.ledger.outCount, dead: state.deadLetters)
        }
    }

    /// A position is the id of a row; ids are never reused.
    public func deadLetters(
        after position: DeadLetterPosition?, limit: DeadLetterLimit
    ) async throws(BrokerError) -> DeadLetterPage {
        try await metrics.timers.time(.deadLetters) { () throws(BrokerError) in try await readDeadLetters(after: position, limit) }
    }

    private func readDeadLetters(
        after position: DeadLetterPosition?, _ limit: DeadLetterLimit
    ) async throws(BrokerError) -> DeadLetterPage {
        let (failure, isClosed) = state.withLock { ($0.isWriting ? $0.health.failure : nil, $0.isClosed) }
        if isClosed { throw BrokerError(.unavailable, State.closedReason) }
        // After a write that hangs, a read would hang too.
        if let failure { throw BrokerError(.unavailable, failure) }
        let id = position.map { Int64($0.text) } ?? 0
        guard let id, id >= 0 else { throw BrokerError(.misconfigured, "'\(position?.text ?? "")' is not a position in this queue") }
        do {
            return try await Deadline.enforce { [file] in try await file.deadLetters(after: id, limit: limit) }
        } catch {
            throw BrokerError(.unavailable, "the queue's file cannot be read: \(error)", cause: error)
        }
    }

    /// After a failed write this tries another write; otherwise it does no I/O.
    public func checkHealth() async throws(BrokerError) {
        try await metrics.timers.time(.checkHealth) { () throws(BrokerError) in try await probe() }
    }

    private func probe() async throws(BrokerError) {
        let (failure, busy) = try state.withLock { state throws(BrokerError) in
            if state.isClosed { throw BrokerError(.unavailable, State.closedReason) }
            if state.backlog.isFull { throw BrokerError(.blocked, State.fullReason) }
            return (state.health.failure, state.isWriting)
        }
        guard let failure else { return }
        // After a write that hangs, a probe would hang too.
        if busy { throw BrokerError(.unavailable, failure) }
        do {
            try await file.probe()
            succeeded(.append)
        } catch {
            throw BrokerError(.unavailable, failed(.append, error), cause: error)
        }
    }
}
