/// Cuts the events of one user into sessions: docs/queries.md says what one is. Pure.
enum SessionCutter {
    /// An event as far as sessions depend on it.
    struct Event: Sendable {
        /// Milliseconds since 1970.
        var time: Int64
        /// Stands for the session id; 0 where there is none.
        var session: UInt64
        /// What the question wants to know of it.
        var mark: Int32
    }

    /// Milliseconds of the pause that ends a session of a client's, and for which a session is measured.
    static let longest: Int64 = 86_400_000
    static let gaps = 1...1_440
    static let defaultGap = 30

    /// Gives the events of each session that starts in a range, as they are measured, in the order of time.
    ///
    /// - Parameters:
    ///   - events: Of one user, in any order. Sorted afterwards.
    ///   - gap: Milliseconds of the longest pause without a session id.
    static func cut(_ events: inout [Event], gap: Int64, starting range: Range<Int64>, _ body: (UnsafeBufferPointer<Event>) -> Void) {
        // Those of a session stand together.
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

/// Rows as a question about sessions needs them.
final class SessionSlot: Sendable {
    private let begin: Int64
    private let times: [UInt32]
    private let sessionIds: RowColumn
    /// Of each entry of the column of session ids; 0 for that without one.
    private let sessions: [UInt64]
    private let marked: RowColumn
    private let marks: [Int32]
    private let flags: RowMasks?

    /// - Parameters:
    ///   - sessionIds: The column of session ids.
    ///   - marked: Another column.
    ///   - marks: What the question wants to know, for each entry of that column.
    ///   - flags: Bits that are added to these.
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
            // Seeded anew in every process: nobody can choose ids that collide.
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

/// The events of one user, of which sessions are made.
struct SessionEvents: Sendable {
    private let limit: Int
    private var slots: [SessionSlot?] = []
    private var events: [SessionCutter.Event] = []
    /// Whether the user has more of them than are held; it stays so.
    private(set) var areTooMany = false
    var isUser = false

    /// - Parameter byteLimit: Of one user's events.
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

    /// Gives the sessions, as ``SessionCutter/cut(_:gap:starting:_:)`` does, and lets the events go.
    mutating func cut(gap: Int64, starting range: Range<Int64>, _ body: (UnsafeBufferPointer<SessionCutter.Event>) -> Void) {
        guard !events.isEmpty else { return }
        SessionCutter.cut(&events, gap: gap, starting: range, body)
        events.removeAll(keepingCapacity: true)
    }

    /// Gives each of them, in any order.
    func each(_ body: (SessionCutter.Event) -> Void) { events.forEach(body) }

    /// Gives all of them in the order of time, and lets them go.
    mutating func sorted(_ body: (UnsafeBufferPointer<SessionCutter.Event>) -> Void) {
        guard !events.isEmpty else { return }
        if zip(events, events.dropFirst()).contains(where: { $0.time > $1.time }) { events.sort { $0.time < $1.time } }
        events.withUnsafeBufferPointer(body)
        events.removeAll(keepingCapacity: true)
    }
}
