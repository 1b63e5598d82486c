internal import Algorithms
internal import AnalyticsJSON

/// Measures sessions by bucket.
struct SessionsTally: RowReducer {
    private let query: SessionsQuery
    private let range: Range<Int64>
    private var pages: [GroupKey] = []
    private var pageNumbers: [GroupKey: Int32] = [:]
    /// Sessions by page.
    private var entries: [Int64] = []
    private var exits: [Int64] = []
    private var events = SessionEvents(byteLimit: Self.byteLimit)
    private var actor: Int32 = 0
    /// Per bucket, and last for all together: the figures, and the last actor counted.
    private var figures: [Sessions.Figures]
    private var seen: [Int32]
    /// Per session: its bucket in the high 32 bits, and its length in milliseconds.
    private var lengths: [UInt64] = []
    private var pageBytes = 0

    /// Maximum bytes of pages and lengths, and of one user's events.
    static let byteLimit = 96 << 20

    init(_ query: SessionsQuery, _ range: Range<Timestamp>) {
        self.query = query
        self.range = range.lowerBound.milliseconds..<range.upperBound.milliseconds
        figures = Array(repeating: Sessions.Figures(), count: query.starts.count + 1)
        seen = Array(repeating: 0, count: query.starts.count + 1)
    }

    var fields: [RowField] { [.sessionId, .property(query.page)] }
    var isByActor: Bool { true }
    var needsTimes: Bool { true }

    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable) {
        let column = rows.columns[1]
        var marks: [Int32] = []
        marks.reserveCapacity(column.entries.count)
        for index in 0..<column.entries.count { marks.append(page(try column.entries.scalars(index))) }
        events.load(SessionSlot(rows, sessionIds: rows.columns[0], marked: column, marks: marks), slot: slot)
    }

    /// The number of the smallest key; -1 if there is none.
    private mutating func page(_ values: [JSONScalar]) -> Int32 {
        guard let key = EventMeasurement.keys(values).min(), key != .null else { return -1 }
        if let number = pageNumbers[key] { return number }
        let number = Int32(pages.count)
        pageNumbers[key] = number
        pages.append(key)
        entries.append(0)
        exits.append(0)
        pageBytes += key.size + 88
        return number
    }

    mutating func begin(isUser: Bool) {
        actor += 1
        events.isUser = isUser
    }

    mutating func add(slot: Int, _ rows: Range<Int>) { events.add(slot: slot, rows) }

    mutating func end() {
        // A second reference would copy the events.
        var own = events
        events = SessionEvents(byteLimit: 0)
        own.cut(gap: Int64(query.gapMinutes) * 60_000, starting: range) { measure($0) }
        events = own
    }

    private mutating func measure(_ session: UnsafeBufferPointer<SessionCutter.Event>) {
        let start = session[0].time
        let bucket = max(0, query.starts.partitioningIndex { $0.milliseconds > start } - 1)
        count(session.count, in: bucket)
        count(session.count, in: figures.count - 1)
        lengths.append(UInt64(bucket) << 32 | UInt64(session[session.count - 1].time - start))
        guard let first = session.first(where: { $0.mark >= 0 }), let last = session.last(where: { $0.mark >= 0 }) else { return }
        entries[smallestPage(session, at: first.time, first.mark)] += 1
        exits[smallestPage(session.reversed(), at: last.time, last.mark)] += 1
    }

    private mutating func count(_ events: Int, in place: Int) {
        figures[place].sessions += 1
        figures[place].events += Int64(events)
        if events == 1 { figures[place].bounces += 1 }
        guard seen[place] != actor else { return }
        seen[place] = actor
        figures[place].users += 1
    }

    /// The smallest page among the events at `time`, the time of the sequence's first page.
    private func smallestPage(_ events: some Sequence<SessionCutter.Event>, at time: Int64, _ first: Int32) -> Int {
        var smallest = first
        for event in events where event.time == time && event.mark >= 0 && event.mark != smallest {
            if pages[Int(event.mark)] < pages[Int(smallest)] { smallest = event.mark }
        }
        return Int(smallest)
    }

    private var isTooLarge: Bool {
        pageBytes + lengths.count * 24 > Self.byteLimit
    }

    func check() throws {
        if events.areTooMany || isTooLarge { throw QueryTooLargeError(.tooManyKeys) }
    }

    // MARK: The answer

    func answer() throws -> Sessions {
        try check()
        var figures = figures
        let sorted = lengths.sorted()
        var rest = sorted[...]
        for bucket in figures.indices.dropLast() {
            let own = rest.prefix(Int(figures[bucket].sessions))
            rest = rest.dropFirst(own.count)
            figures[bucket].measure(own.map { UInt32(truncatingIfNeeded: $0) })
        }
        figures[figures.count - 1].measure(sorted.map { UInt32(truncatingIfNeeded: $0) }.sorted())
        return Sessions(
            total: figures[figures.count - 1], buckets: Array(figures.dropLast()), entryPages: largest(entries), exitPages: largest(exits))
    }

    private func largest(_ counts: [Int64]) -> [Sessions.Page] {
        counts.indices.filter { counts[$0] > 0 }
            .sorted { counts[$0] != counts[$1] ? counts[$0] > counts[$1] : pages[$0] < pages[$1] }
            .prefix(query.limit).map { Sessions.Page(page: pages[$0], sessions: counts[$0]) }
    }
}

extension Sessions.Figures {
    /// - Parameter lengths: Milliseconds, in ascending order.
    fileprivate mutating func measure(_ lengths: [UInt32]) {
        medianSeconds = Quantile.seconds(0.5, of: lengths)
        p90Seconds = Quantile.seconds(0.9, of: lengths)
    }
}
