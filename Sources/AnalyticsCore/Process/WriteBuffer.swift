/// What waits to be written, and when it is to be written. A state machine without I/O.
/// Times are of an ``ElapsedClock``.
struct WriteBuffer {
    /// A delivery that has been decoded and enriched.
    struct Entry {
        var handle: DeliveryHandle
        var redeliveries: Int
        var sections: [Section]
        /// Of the delivery's body.
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
        /// Flushed at this many deliveries, so that a prefetch of small messages cannot run dry before a flush begins.
        var deliveries: Int
        /// Flushed at this many bytes of bodies: a flush holds its events several times over.
        var bytes: Int
        /// Flushed this long after its first entry.
        var interval: Duration
        /// The same where nothing else is being written: then a flush costs nobody anything, and the events are seen sooner. Not at once, or
        /// each event of a slow stream would be a flush.
        var idleInterval: Duration { interval / 5 }
    }

    let limits: Limits
    private var entries: [Entry] = []
    private var events = 0
    private var bytes = 0
    /// When its first entry came.
    private var begin: Duration?

    var isEmpty: Bool { entries.isEmpty }

    init(limits: Limits) {
        self.limits = limits
    }

    /// Receipt of the oldest event in it. Those of a section came in together.
    var oldest: Timestamp? { entries.oldest }

    /// Gives what is to be flushed now, if the entry filled the buffer.
    mutating func add(_ entry: Entry, now: Duration) -> [Entry]? {
        if entries.isEmpty { begin = now }
        entries.append(entry)
        events += entry.sections.reduce(0) { $0 + $1.events.count }
        bytes += entry.bytes
        return events >= limits.events || entries.count >= limits.deliveries || bytes >= limits.bytes ? drain() : nil
    }

    /// Gives what is to be flushed now, if it has waited long enough.
    ///
    /// - Parameter isIdle: Nothing else is being written.
    mutating func tick(now: Duration, isIdle: Bool) -> [Entry]? {
        guard let begin, now >= begin + (isIdle ? limits.idleInterval : limits.interval) else { return nil }
        return drain()
    }

    /// Gives everything.
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
