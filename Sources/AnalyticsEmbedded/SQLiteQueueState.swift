import AnalyticsCore

extension SQLiteQueue {
    /// All mutable state, behind one lock. Decides the worker's next step.
    struct State {
        enum Step {
            case settle(SQLiteQueueLedger.Settlement)
            case append(SQLiteQueueBacklog.Group, firstID: Int64, afterFailure: Bool)
            /// Nothing waits: return unused space to the disk.
            case shrink
        }

        static let closedReason = "the queue is shut down"
        static let fullReason = "the queue is full: too much waits for its commit"

        var ledger: SQLiteQueueLedger
        var backlog: SQLiteQueueBacklog
        var deadLetters: Int
        var health = SQLiteQueueHealth()
        /// Accepts nothing new, but finishes pending work.
        private(set) var isClosed = false
        private var isStopped = false
        private(set) var isWriting = false
        private(set) var worker: Task<Void, Never>?
        private(set) var consumers: [UInt64: (consumer: QueueConsumer, session: DeliverySession)] = [:]
        private var lastConsumer: UInt64
        private var mayShrink = true
        private var appendsNext = false
        private let waitingBytes: Int

        init(_ contents: SQLiteQueueFile.Contents, limits: Limits) {
            ledger = SQLiteQueueLedger(ready: contents.events)
            backlog = SQLiteQueueBacklog(limits: limits)
            deadLetters = contents.deadLetters
            waitingBytes = limits.waitingBytes
            // A consumer's number is the epoch of its handles. It is never reused, so a handle from before a restart is ignored.
            lastConsumer = UInt64(contents.opening) << 32
        }

        /// Queues the entry, or returns why not.
        mutating func admit(_ entry: SQLiteQueueBacklog.Entry) -> String? {
            if isClosed { return Self.closedReason }
            guard backlog.hasRoom(messages: entry.messages.count, bytes: entry.bytes) else { return Self.fullReason }
            backlog.add(entry)
            return nil
        }

        /// Begins the consumer's session.
        mutating func add(_ consumer: QueueConsumer, prefetch: Int) {
            if isClosed { return consumer.finish() }
            lastConsumer += 1
            consumers[lastConsumer] = (consumer, consumer.begin(epoch: lastConsumer))
            ledger.addConsumer(lastConsumer, prefetch: prefetch)
        }

        mutating func remove(_ consumer: QueueConsumer) {
            guard let number = consumers.first(where: { $0.value.consumer === consumer })?.key else { return }
            consumers[number] = nil
            // After closing, unacknowledged messages stay `out` in the file and count as delivered at the next opening.
            if !isClosed { ledger.removeConsumer(number) }
        }

        mutating func close() -> [QueueConsumer] {
            isClosed = true
            return consumers.values.map(\.consumer)
        }

        /// The worker to wait for before calling again; `nil` if there is none, and none will start.
        mutating func stop() -> Task<Void, Never>? {
            isStopped = worker == nil
            return worker
        }

        /// Call it after anything that may create work.
        mutating func wake(_ start: () -> Task<Void, Never>) {
            if worker == nil, !isStopped { worker = start() }
        }

        /// Alternates between publishes and deliveries; `nil` ends the worker.
        mutating func nextStep(handoutLimit: Int, settles: Bool) -> Step? {
            isWriting = true
            appendsNext.toggle()
            let step = appendsNext ? append() ?? settle(handoutLimit, settles) : settle(handoutLimit, settles) ?? append()
            if let step { return step }
            if mayShrink, !isClosed {
                mayShrink = false
                return .shrink
            }
            isWriting = false
            worker = nil
            return nil
        }

        mutating func shrunk(more: Bool) {
            mayShrink = more
        }

        private mutating func append() -> Step? {
            backlog.takeGroup().map { .append($0, firstID: ledger.nextID, afterFailure: health.failure != nil) }
        }

        private mutating func settle(_ limit: Int, _ settles: Bool) -> Step? {
            let consumers = consumers
            let bytes = waitingBytes
            let settlement =
                !settles
                ? nil
                : ledger.nextSettlement(limit: isClosed ? 0 : limit) { number in
                    consumers[number].map { $0.session.bytesWaiting < bytes } ?? false
                }
            guard let settlement else { return nil }
            if !settlement.acknowledged.isEmpty { mayShrink = true }
            return .settle(settlement)
        }
    }
}
