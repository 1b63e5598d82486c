import AnalyticsCore

extension SQLiteQueue {
    /// All that changes, behind one lock; decides what the worker does next.
    struct State {
        enum Step {
            case settle(SQLiteQueueLedger.Settlement)
            case append([SQLiteQueueBacklog.Entry], firstID: Int64, afterFailure: Bool)
            /// Nothing waits: time to give back unused space.
            case shrink
        }

        static let closedReason = "the queue is shut down"
        static let fullReason = "the queue is full: too much waits for its commit"

        var ledger: SQLiteQueueLedger
        var backlog: SQLiteQueueBacklog
        var deadLetters: Int
        var health = SQLiteQueueHealth()
        /// Takes nothing new, but finishes what it has.
        private(set) var isClosed = false
        private var isStopped = false
        private(set) var isWriting = false
        private(set) var worker: Task<Void, Never>?
        private(set) var streams: [UInt64: AsyncStream<Delivery>.Continuation] = [:]
        private var lastConsumer: UInt64
        private var mayShrink = true
        private var appendsNext = false

        init(_ contents: SQLiteQueueFile.Contents, limits: Limits) {
            ledger = SQLiteQueueLedger(ready: contents.events)
            backlog = SQLiteQueueBacklog(limits: limits)
            deadLetters = contents.deadLetters
            // A consumer's number is its handles' epoch: it never comes again, so a handle from before a restart names nothing.
            lastConsumer = UInt64(contents.opening) << 32
        }

        /// Queues it, or says why not.
        mutating func admit(_ entry: SQLiteQueueBacklog.Entry) -> String? {
            if isClosed { return Self.closedReason }
            guard backlog.hasRoom(messages: entry.messages.count, bytes: entry.bytes) else { return Self.fullReason }
            backlog.add(entry)
            return nil
        }

        mutating func addConsumer(_ stream: AsyncStream<Delivery>.Continuation, prefetch: Int) -> UInt64? {
            if isClosed { return nil }
            lastConsumer += 1
            streams[lastConsumer] = stream
            ledger.addConsumer(lastConsumer, prefetch: prefetch)
            return lastConsumer
        }

        mutating func removeConsumer(_ consumer: UInt64) {
            streams[consumer] = nil
            // Once closed, what is out stays so in the file, and counts as delivered when it is opened again.
            if !isClosed { ledger.removeConsumer(consumer) }
        }

        mutating func close() -> [AsyncStream<Delivery>.Continuation] {
            isClosed = true
            return Array(streams.values)
        }

        /// The worker to wait for before asking again; `nil` when there is none, and none will be.
        mutating func stop() -> Task<Void, Never>? {
            isStopped = worker == nil
            return worker
        }

        /// To be called after anything that may be work.
        mutating func wake(_ start: () -> Task<Void, Never>) {
            if worker == nil, !isStopped { worker = start() }
        }

        /// Publishes and deliveries take turns; `nil` ends the worker.
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
            let group = backlog.takeGroup()
            return group.isEmpty ? nil : .append(group, firstID: ledger.nextID, afterFailure: health.failure != nil)
        }

        private mutating func settle(_ limit: Int, _ settles: Bool) -> Step? {
            guard settles, let settlement = ledger.nextSettlement(limit: isClosed ? 0 : limit) else { return nil }
            if !settlement.acknowledged.isEmpty { mayShrink = true }
            return .settle(settlement)
        }
    }
}
