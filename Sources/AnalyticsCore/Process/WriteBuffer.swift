/// What waits to be written, and when it is to be written. A state machine without I/O.
/// Times are of an ``ElapsedClock``.
struct WriteBuffer {
    /// A delivery that has been decoded and enriched.
    struct Entry {
        var handle: DeliveryHandle
        var redeliveries: Int
        var events: [StoredEvent]
        var origin: RequestOrigin
        var requestToReport: String?
        /// Of the delivery's body.
        var bytes: Int
    }

    struct Limits {
        /// Flushed at this many events.
        var events: Int
        /// Flushed at this many deliveries, so that a prefetch of small messages cannot run dry before a flush begins.
        var deliveries: Int
        /// Flushed at this many bytes of bodies: a flush holds its events several times over.
        var bytes: Int
        /// Flushed this long after its first entry.
        var interval: Duration
    }

    private let limits: Limits
    private var entries: [Entry] = []
    private var events = 0
    private var bytes = 0
    private var deadline: Duration?

    init(limits: Limits) {
        self.limits = limits
    }

    /// Receipt of the oldest event in it, where each entry's events are in the order of receipt.
    var oldest: Timestamp? { entries.oldest }

    /// Gives what is to be flushed now, if the entry filled the buffer.
    mutating func add(_ entry: Entry, now: Duration) -> [Entry]? {
        if entries.isEmpty { deadline = now + limits.interval }
        entries.append(entry)
        events += entry.events.count
        bytes += entry.bytes
        return events >= limits.events || entries.count >= limits.deliveries || bytes >= limits.bytes ? drain() : nil
    }

    /// Gives what is to be flushed now, if it has waited long enough.
    mutating func tick(now: Duration) -> [Entry]? {
        guard let deadline, now >= deadline else { return nil }
        return drain()
    }

    /// Gives everything.
    mutating func drain() -> [Entry]? {
        guard !entries.isEmpty else { return nil }
        defer {
            entries = []
            events = 0
            bytes = 0
            deadline = nil
        }
        return entries
    }
}

extension [WriteBuffer.Entry] {
    var oldest: Timestamp? { compactMap { $0.events.first?.event.receivedAt }.min() }
}
