import AnalyticsCore

/// Publishes that wait for their commit, in order and bounded. Each is answered once: by its commit, or because it waited
/// too long. Does no I/O.
struct SQLiteQueueBacklog {
    struct Entry: Sendable {
        var messages: [OutgoingMessage]
        var queue: QueueName
        var bytes: Int
        var answer: @Sendable (PublishOutcome) -> Void
    }

    /// The publishes of one transaction.
    struct Group: Sendable {
        struct Row: Sendable, Equatable {
            var queue: QueueName
            var body: [UInt8]
        }

        var entries: [Entry]

        /// The messages of all entries, in order; small messages of several requests are joined.
        func rows() -> [Row] {
            var rows: [Row] = []
            var last: (queue: QueueName, joined: JoinedMessage)?
            for entry in entries {
                for message in entry.messages {
                    if last?.queue == entry.queue, last?.joined.add(message) == true { continue }
                    if let last { rows.append(Row(queue: last.queue, body: last.joined.message.body)) }
                    last = (entry.queue, JoinedMessage(message))
                }
            }
            if let last { rows.append(Row(queue: last.queue, body: last.joined.message.body)) }
            return rows
        }
    }

    private var waiting: [Entry] = []
    private var committing: [Entry] = []
    private var messages = 0
    private var bytes = 0
    let limits: SQLiteQueue.Limits

    init(limits: SQLiteQueue.Limits) {
        self.limits = limits
    }

    var isFull: Bool { messages >= limits.pendingMessages || bytes >= limits.pendingBytes }

    func hasRoom(messages count: Int, bytes size: Int) -> Bool {
        messages + count <= limits.pendingMessages && bytes + size <= limits.pendingBytes
    }

    mutating func add(_ entry: Entry) {
        waiting.append(entry)
        messages += entry.messages.count
        bytes += entry.bytes
    }

    /// The oldest publishes, up to the limits of one transaction, but at least one; `nil` if none waits.
    mutating func takeGroup() -> Group? {
        guard !waiting.isEmpty else { return nil }
        var count = 0
        var size = 0
        let end = waiting.firstIndex { entry in
            count += entry.messages.count
            size += entry.bytes
            return size > limits.groupBytes || count > limits.groupMessages
        }
        committing = Array(waiting.prefix(max(1, end ?? waiting.count)))
        waiting.removeFirst(committing.count)
        return Group(entries: committing)
    }

    /// The group's publishes that have no answer yet.
    mutating func finishGroup() -> [Entry] {
        defer { committing = [] }
        forget(committing)
        return committing
    }

    /// All publishes that have no answer yet, waiting or in a transaction.
    mutating func expire() -> [Entry] {
        defer {
            committing = []
            waiting = []
        }
        forget(committing)
        forget(waiting)
        return committing + waiting
    }

    private mutating func forget(_ entries: [Entry]) {
        messages -= entries.reduce(0) { $0 + $1.messages.count }
        bytes -= entries.reduce(0) { $0 + $1.bytes }
    }
}
