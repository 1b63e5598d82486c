/// A page of the users that a number in an answer counts.
public struct People: Sendable, Equatable {
    public struct Person: Sendable, Equatable {
        public enum Kind: Sendable, CaseIterable {
            case userId
            case anonymousId
            case visitorId
        }

        public var kind: Kind
        public var id: String
        /// Of the selected events in the range; `nil` if there are none.
        public var first: Timestamp?
        public var last: Timestamp?
        public var events: Int64
    }

    /// All users, on this page or not.
    public var total: Int64
    /// In the order of their keys.
    public var people: [Person]
    /// Whether more users follow.
    public var hasMore: Bool

    /// The cursor of the next page; `nil` after the last.
    public var next: PeopleCursor? { hasMore ? people.last.map { PeopleCursor(key: $0.key) } : nil }

    /// Approximate bytes in memory.
    public var size: Int { people.reduce(64) { $0 + $1.id.utf8.count + 96 } }
}

extension People.Person {
    init(_ name: ActorName) {
        let kind: Kind =
            switch name.kind {
            case .user: .userId
            case .anonymous: .anonymousId
            case .visitor: .visitorId
            }
        self.init(kind: kind, id: name.id.text, first: nil, last: nil, events: 0)
    }

    var key: ActorKey { name.key }

    fileprivate var name: ActorName {
        switch kind {
        case .userId: ActorName(.user, id)
        case .anonymousId: ActorName(.anonymous, id)
        case .visitorId: ActorName(.visitor, id)
        }
    }
}

/// A position in a list of users as callers send it: opaque text that is safe in a URL.
public struct PeopleCursor: Sendable, Equatable {
    let key: ActorKey

    init(key: ActorKey) {
        self.key = key
    }

    /// `nil` unless the text comes from ``text``.
    public init?(_ text: String) {
        let digits = Array(text.utf8)
        guard digits.count == 33, digits[0] == UInt8(ascii: "1"), digits.allSatisfy(Self.isDigit),
            let high = UInt64(String(decoding: digits[1..<17], as: UTF8.self), radix: 16),
            let low = UInt64(String(decoding: digits[17...], as: UTF8.self), radix: 16)
        else { return nil }
        key = ActorKey(high: high, low: low)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    public var text: String {
        "1"
            + [key.high, key.low].map { word in
                let digits = String(word, radix: 16)
                return String(repeating: "0", count: 16 - digits.utf8.count) + digits
            }.joined()
    }
}

/// A question whose answer counts users, who can be listed.
protocol PeopleQuestion: RowQuestion where Reducer: PeopleReducer {}

/// Tells how many users a number of its answer counts so far.
protocol PeopleReducer: RowReducer {
    /// Identifies a number of the answer.
    associatedtype Cell: PeopleCell

    /// Rises by one after the rows of each user that the number counts.
    func users(behind cell: Cell) -> Int64
}

protocol PeopleCell: Sendable {
    /// Different cells of a question have different parts.
    var keyParts: [String] { get }
}

struct PeopleQuery<Base: PeopleQuestion>: RowQuestion {
    typealias Codec = PeopleCodec

    let base: Base
    let cell: Base.Reducer.Cell
    /// The range of the events described for each user.
    let range: Range<Timestamp>
    let page: PeoplePage

    static var name: String { "people" }

    var selection: Selection { base.selection }

    var keyParts: [String] {
        [Base.name, page.after?.text ?? "", String(page.limit)]
            + [range.lowerBound, range.upperBound].map { String($0.milliseconds) } + [String(cell.keyParts.count)] + cell.keyParts
            + base.keyParts
    }

    func accepts(_ answer: People) -> Bool {
        guard answer.people.count <= page.limit, answer.total >= answer.people.count else { return false }
        return page.after.map { after in answer.people.first.map { after.key < $0.key } ?? true } ?? true
    }

    func reading(over range: Range<Timestamp>) -> Reading { base.reading(over: range) }

    func reducer(over range: Range<Timestamp>) -> PeopleTally<Base.Reducer> {
        PeopleTally(base.reducer(over: range), cell, self.range, page)
    }
}

/// Which users a page lists.
public struct PeoplePage: Sendable {
    /// Users after this position; from the start if `nil`.
    public var after: PeopleCursor?
    public var limit: Int

    public static let limits = 1...1_000
    public static let defaultLimit = 100

    public init(after: PeopleCursor? = nil, limit: Int = Self.defaultLimit) {
        self.after = after
        self.limit = limit
    }
}

extension QueryEngine {
    func people<Base: PeopleQuestion>(
        _ query: PeopleQuery<Base>, _ age: AnswerAge, for asker: Asker
    ) async throws -> Answered<People> {
        try await recent(query.selection, [PeopleQuery<Base>.name] + query.keyParts, age, for: asker, size: \.size) {
            try await answer(to: query)
        }
    }
}

/// Cache format: the format number, the total, whether more follow, and the count of users on the page. Per user: kind, id and
/// events, and if there are events, the first and last times.
enum PeopleCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: People) -> [UInt8] {
        var writer = TableWriter()
        writer.number(format)
        writer.number(answer.total)
        writer.number(answer.hasMore ? 1 : 0)
        writer.number(Int64(answer.people.count))
        for person in answer.people {
            writer.number(Int64(person.name.kind.rawValue))
            writer.text(person.id)
            writer.number(person.events)
            guard let first = person.first, let last = person.last else { continue }
            for time in [first, last] { writer.word(UInt64(bitPattern: time.milliseconds)) }
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> People {
        try TableCursor.answer(in: bytes, format: format) { (cursor) throws(GroupTable.Unreadable) in
            let total = try cursor.count()
            let more = try cursor.number()
            guard more <= 1 else { throw .damaged }
            let people = try (0..<cursor.length()).map { (_) throws(GroupTable.Unreadable) in try cursor.person() }
            guard zip(people, people.dropFirst()).allSatisfy({ $0.key < $1.key }), more == 0 || !people.isEmpty else { throw .damaged }
            return People(total: total, people: people, hasMore: more == 1)
        }
    }
}

extension TableCursor {
    fileprivate mutating func person() throws(GroupTable.Unreadable) -> People.Person {
        guard let kind = UInt8(exactly: try number()).flatMap({ ActorKey.Kind(rawValue: $0) }) else { throw .damaged }
        var person = People.Person(ActorName(kind, try GroupTable.string(text())))
        person.events = try count()
        guard person.events > 0 else { return person }
        let (first, last) = (Int64(bitPattern: try word()), Int64(bitPattern: try word()))
        guard first <= last, first >= Timestamp.earliest.milliseconds, last <= Timestamp.latest.milliseconds else { throw .damaged }
        (person.first, person.last) = (Timestamp(milliseconds: first), Timestamp(milliseconds: last))
        return person
    }
}
