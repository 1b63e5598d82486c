/// Divides the events of one user into sessions, as defined in docs/queries.md. Pure.
enum SessionCutter {
    /// The parts of an event that sessions need.
    struct Event: Sendable {
        /// Milliseconds since 1970.
        var time: Int64
        /// The hash of the session id; 0 without one.
        var session: UInt64
        /// A value that the question defines.
        var mark: Int32
    }

    /// Milliseconds of the pause that ends a session with a session id, and the longest length that is measured.
    static let longest: Int64 = 86_400_000
    static let gaps = 1...1_440
    static let defaultGap = 30

    /// Calls `body` with the measured events of each session that starts in a range, in order of time.
    ///
    /// - Parameters:
    ///   - events: The events of one user, in any order. Sorted on return.
    ///   - gap: The longest pause without a session id, in milliseconds.
    static func cut(_ events: inout [Event], gap: Int64, starting range: Range<Int64>, _ body: (UnsafeBufferPointer<Event>) -> Void) {
        // The events of a session are adjacent.
        func precedes(_ a: Event, _ b: Event) -> Bool { a.session != b.session ? a.session < b.session : a.time < b.time }
        var isSorted = true
        for index in events.indices.dropFirst() where precedes(events[index], events[index - 1]) {
            isSorted = false
            break
        }
        if !isSorted { events.sort(by: precedes) }
        events.withUnsafeBufferPointer { events in
            var start = 0
            while start < events.count {
                let first = events[start]
                let pause = first.session == 0 ? gap : longest
                var (end, measured) = (start + 1, start + 1)
                while end < events.count, events[end].session == first.session, events[end].time - events[end - 1].time <= pause {
                    if events[end].time - first.time <= longest { measured = end + 1 }
                    end += 1
                }
                if range.contains(first.time) { body(UnsafeBufferPointer(rebasing: events[start..<measured])) }
                start = end
            }
        }
    }
}

/// Rows for a question about sessions.
final class SessionSlot: Sendable {
    private let begin: Int64
    private let times: [UInt32]
    private let sessionIds: RowColumn
    /// Per entry of the session id column; 0 for the entry without an id.
    private let sessions: [UInt64]
    private let marked: RowColumn
    private let marks: [Int32]
    private let flags: RowMasks?

    /// - Parameters:
    ///   - sessionIds: The column of session ids.
    ///   - marked: The column that `marks` refers to.
    ///   - marks: The question's value for each entry of `marked`.
    ///   - flags: Bits that are added to the marks.
    init(_ rows: EventRows, sessionIds: RowColumn, marked: RowColumn, marks: [Int32], flags: RowMasks? = nil) {
        begin = rows.day * RollupTier.day.milliseconds
        times = rows.times
        self.sessionIds = sessionIds
        self.marked = marked
        self.marks = marks
        self.flags = flags
        sessions = (0..<sessionIds.entries.count).map { index in
            let entry = sessionIds.entries[index]
            guard !entry.isEmpty else { return 0 }
            // Hasher has a random seed per process: a client cannot choose ids that collide.
            var hasher = Hasher()
            entry.withUnsafeBytes { hasher.combine(bytes: $0) }
            return UInt64(bitPattern: Int64(hasher.finalize())) | 1
        }
    }

    func append(_ rows: Range<Int>, to events: inout [SessionCutter.Event]) {
        for row in rows {
            var mark = marks[marked.code(of: row)]
            if let flags { mark |= Int32(truncatingIfNeeded: flags[row]) }
            events.append(
                SessionCutter.Event(time: begin + Int64(times[row]), session: sessions[sessionIds.code(of: row)], mark: mark))
        }
    }
}

/// The events of one user, to be divided into sessions.
struct SessionEvents: Sendable {
    private let limit: Int
    private var slots: [SessionSlot?] = []
    private var events: [SessionCutter.Event] = []
    /// Whether a user had more events than the limit; never reset.
    private(set) var areTooMany = false
    var isUser = false

    /// - Parameter byteLimit: The most bytes of one user's events.
    init(byteLimit: Int) {
        limit = byteLimit / MemoryLayout<SessionCutter.Event>.stride
    }

    mutating func load(_ rows: SessionSlot, slot: Int) {
        while slots.count <= slot { slots.append(nil) }
        slots[slot] = rows
    }

    mutating func add(slot: Int, _ rows: Range<Int>) {
        guard isUser, !areTooMany, let slot = slots[slot] else { return }
        slot.append(rows, to: &events)
        areTooMany = events.count > limit
    }

    /// Calls `body` with each session, as in ``SessionCutter/cut(_:gap:starting:_:)``, then removes the events.
    mutating func cut(gap: Int64, starting range: Range<Int64>, _ body: (UnsafeBufferPointer<SessionCutter.Event>) -> Void) {
        guard !events.isEmpty else { return }
        SessionCutter.cut(&events, gap: gap, starting: range, body)
        events.removeAll(keepingCapacity: true)
    }

    /// Calls `body` with each event, in any order.
    func each(_ body: (SessionCutter.Event) -> Void) { events.forEach(body) }

    /// Calls `body` with all events in order of time, then removes them.
    mutating func sorted(_ body: (UnsafeBufferPointer<SessionCutter.Event>) -> Void) {
        guard !events.isEmpty else { return }
        if zip(events, events.dropFirst()).contains(where: { $0.time > $1.time }) { events.sort { $0.time < $1.time } }
        events.withUnsafeBufferPointer(body)
        events.removeAll(keepingCapacity: true)
    }
}
