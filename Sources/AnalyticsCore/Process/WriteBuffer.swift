/// Decoded deliveries that wait for a flush, and when to flush them. A state machine without I/O. Times are those of an ``ElapsedClock``.
struct WriteBuffer {
    /// A delivery that has been decoded and enriched.
    struct Entry {
        var handle: DeliveryHandle
        var redeliveries: Int
        var sections: [Section]
        /// Size of the delivery's body.
        var bytes: Int
    }

    /// Events of one request.
    struct Section {
        var events: [StoredEvent]
        var origin: RequestOrigin
        var requestToReport: String?
    }

    struct Limits {
        /// Flushed at this many events.
        var events: Int
        /// Flushed at this many deliveries, so that small messages do not exhaust the prefetch before a flush begins.
        var deliveries: Int
        /// Flushed at this many bytes of bodies: a flush holds several copies of its events.
        var bytes: Int
        /// Flushed this long after its first entry.
        var interval: Duration
        /// The interval if no other flush is running: an earlier flush then delays nothing and makes the events visible sooner. Not zero,
        /// or each event of a slow stream would cause a flush.
        var idleInterval: Duration { interval / 5 }
    }

    let limits: Limits
    private var entries: [Entry] = []
    private var events = 0
    private var bytes = 0
    /// Time of its first entry.
    private var begin: Duration?

    var isEmpty: Bool { entries.isEmpty }

    init(limits: Limits) {
        self.limits = limits
    }

    /// Time of receipt of the oldest event. The events of a section were received together.
    var oldest: Timestamp? { entries.oldest }

    /// Returns the entries to flush if this entry filled the buffer.
    mutating func add(_ entry: Entry, now: Duration) -> [Entry]? {
        if entries.isEmpty { begin = now }
        entries.append(entry)
        events += entry.sections.reduce(0) { $0 + $1.events.count }
        bytes += entry.bytes
        return events >= limits.events || entries.count >= limits.deliveries || bytes >= limits.bytes ? drain() : nil
    }

    /// Returns the entries to flush if they have waited long enough.
    ///
    /// - Parameter isIdle: No other flush is running.
    mutating func tick(now: Duration, isIdle: Bool) -> [Entry]? {
        guard let begin, now >= begin + (isIdle ? limits.idleInterval : limits.interval) else { return nil }
        return drain()
    }

    /// Returns and removes all entries.
    mutating func drain() -> [Entry]? {
        guard !entries.isEmpty else { return nil }
        defer {
            entries = []
            events = 0
            bytes = 0
            begin = nil
        }
        return entries
    }
}

extension [WriteBuffer.Entry] {
    var oldest: Timestamp? { lazy.flatMap(\.sections).compactMap { $0.events.first?.event.receivedAt }.min() }
}
