/// The number and length of sessions, and their entry and exit pages.
public struct Sessions: Sendable, Equatable {
    /// The figures of a set of sessions.
    public struct Figures: Sendable, Equatable {
        public var sessions: Int64 = 0
        /// Distinct users.
        public var users: Int64 = 0
        public var events: Int64 = 0
        /// Sessions of one event.
        public var bounces: Int64 = 0
        /// Of the lengths; `nil` without sessions.
        public var medianSeconds: Double?
        public var p90Seconds: Double?

        public var eventsPerSession: Double? { sessions == 0 ? nil : Double(events) / Double(sessions) }
        public var bounceRate: Double? { sessions == 0 ? nil : Double(bounces) / Double(sessions) }
    }

    public struct Page: Sendable, Equatable {
        public var page: GroupKey
        public var sessions: Int64
    }

    public var total: Figures
    public var buckets: [Figures]
    /// The pages with the most sessions, in descending order.
    public var entryPages: [Page]
    public var exitPages: [Page]

    /// The share of all sessions.
    public func share(of page: Page) -> Double? { total.sessions == 0 ? nil : Double(page.sessions) / Double(total.sessions) }

    /// Approximate bytes in memory.
    public var size: Int { 256 + buckets.count * 80 + (entryPages + exitPages).reduce(0) { $0 + $1.page.size + 16 } }
}

/// A question about sessions.
public struct SessionsQuery: Sendable {
    public var selection: Selection
    /// The longest pause without a session id, in minutes, within ``gaps``.
    public var gapMinutes: Int
    /// The property that holds the page of an event.
    public var page: PropertyPath
    /// Maximum number of pages that the answer lists, within ``limits``.
    public var limit: Int
    /// The starts of the buckets, in ascending order; the range begins at the first start or within its bucket.
    public let starts: [Timestamp]

    public static let gaps = SessionCutter.gaps
    public static let limits = 1...1_000
    public static let defaultLimit = 10
    public static let defaultPage = "context.page.path"

    /// - Precondition: The selection has a range, and `starts` has its buckets.
    public init(
        _ selection: Selection, gapMinutes: Int? = nil, page: PropertyPath, limit: Int = Self.defaultLimit, starts: [Timestamp]
    ) {
        self.selection = selection
        self.gapMinutes = gapMinutes ?? SessionCutter.defaultGap
        self.page = page
        self.limit = limit
        self.starts = starts
    }
}

extension SessionsQuery: RowQuestion {
    typealias Codec = SessionsCodec

    static let name = "sessions"

    var keyParts: [String] {
        [String(gapMinutes), page.text, String(limit), String(starts.count)] + starts.map { String($0.milliseconds) }
    }

    func accepts(_ answer: Sessions) -> Bool {
        answer.buckets.count == starts.count && answer.entryPages.count <= limit && answer.exitPages.count <= limit
    }

    /// Earlier events decide where a session starts, and a session is measured to its end.
    func reading(over range: Range<Timestamp>) -> Reading {
        let longest = Duration.milliseconds(SessionCutter.longest)
        return Reading(from: range.lowerBound - longest, to: range.upperBound + longest)
    }

    func reducer(over range: Range<Timestamp>) -> SessionsTally { SessionsTally(self, range) }
}

extension QueryEngine {
    /// The sessions that start in the range. The answer may be as old as `age` allows.
    public func sessions(_ query: SessionsQuery, _ age: AnswerAge, for asker: Asker) async throws -> Answered<Sessions> {
        try await recent(query.selection, [SessionsQuery.name] + query.keyParts, age, for: asker, size: \.size) {
            try await answer(to: query)
        }
    }
}

/// Cache format: the format number, the figures of all sessions, the count of buckets and the figures of each, then the entry pages
/// and the exit pages, each with their number first.
enum SessionsCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: Sessions) -> [UInt8] {
        var writer = TableWriter()
        writer.number(format)
        writer.figures(answer.total)
        writer.number(Int64(answer.buckets.count))
        for bucket in answer.buckets { writer.figures(bucket) }
        for pages in [answer.entryPages, answer.exitPages] {
            writer.number(Int64(pages.count))
            for page in pages {
                writer.key(page.page)
                writer.number(page.sessions)
            }
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> Sessions {
        try TableCursor.answer(in: bytes, format: format) { (cursor) throws(GroupTable.Unreadable) in
            let total = try cursor.figures()
            let buckets = try (0..<cursor.length()).map { (_) throws(GroupTable.Unreadable) in try cursor.figures() }
            let sums = buckets.reduce(into: (sessions: Int64(0), events: Int64(0), bounces: Int64(0))) { sums, bucket in
                sums = (sums.sessions &+ bucket.sessions, sums.events &+ bucket.events, sums.bounces &+ bucket.bounces)
            }
            guard sums == (total.sessions, total.events, total.bounces) else { throw .damaged }
            func pages() throws(GroupTable.Unreadable) -> [Sessions.Page] {
                try (0..<cursor.length()).map { (_) throws(GroupTable.Unreadable) in
                    let page = Sessions.Page(page: try cursor.key(), sessions: try cursor.count())
                    guard page.page != .null, page.sessions > 0, page.sessions <= total.sessions else { throw .damaged }
                    return page
                }
            }
            return Sessions(total: total, buckets: buckets, entryPages: try pages(), exitPages: try pages())
        }
    }
}

extension TableWriter {
    fileprivate mutating func figures(_ figures: Sessions.Figures) {
        for count in [figures.sessions, figures.users, figures.events, figures.bounces] { number(count) }
        for value in [figures.medianSeconds, figures.p90Seconds] { self.value(value.map { .double($0) } ?? .none) }
    }
}

extension TableCursor {
    fileprivate mutating func figures() throws(GroupTable.Unreadable) -> Sessions.Figures {
        var figures = Sessions.Figures(sessions: try count(), users: try count(), events: try count(), bounces: try count())
        guard figures.users <= figures.sessions, figures.bounces <= figures.sessions, figures.sessions <= figures.events else {
            throw .damaged
        }
        guard (figures.users == 0) == (figures.sessions == 0) else { throw .damaged }
        figures.medianSeconds = try seconds(figures)
        figures.p90Seconds = try seconds(figures)
        return figures
    }

    private mutating func seconds(_ figures: Sessions.Figures) throws(GroupTable.Unreadable) -> Double? {
        switch try value() {
        case .none where figures.sessions == 0: return nil
        case .double(let value) where figures.sessions > 0 && value >= 0 && value <= Double(SessionCutter.longest) / 1_000: return value
        default: throw .damaged
        }
    }
}
