/// The number of users by the number of buckets in which they have events.
public struct Stickiness: Sendable, Equatable {
    /// Users with events in exactly one bucket, in two, and so on.
    public var exactly: [Int64]

    public var users: Int64 { exactly.reduce(0, +) }

    /// Users with events in one bucket or more, in two or more, and so on.
    public var atLeast: [Int64] {
        var (sum, sums): (Int64, [Int64]) = (0, [])
        for users in exactly.reversed() {
            sum += users
            sums.append(sum)
        }
        return sums.reversed()
    }

    /// Approximate bytes in memory.
    public var size: Int { 64 + exactly.count * 16 }
}

public struct StickinessQuery: Sendable {
    public var selection: Selection
    /// The starts of the buckets, in ascending order; the range begins at the first start or within its bucket.
    public let starts: [Timestamp]

    /// - Precondition: The selection has a range, and `starts` has its buckets.
    public init(_ selection: Selection, starts: [Timestamp]) {
        self.selection = selection
        self.starts = starts
    }
}

extension StickinessQuery: RowQuestion {
    typealias Codec = StickinessCodec

    static let name = "stickiness"

    var keyParts: [String] { starts.map { String($0.milliseconds) } }

    func accepts(_ answer: Stickiness) -> Bool { answer.exactly.count == starts.count }

    func reducer(over range: Range<Timestamp>) -> StickinessTally { StickinessTally(self) }
}

extension QueryEngine {
    /// Users by the number of buckets with events. The answer may be as old as `age` allows.
    public func stickiness(_ query: StickinessQuery, _ age: AnswerAge, for asker: Asker) async throws -> Answered<Stickiness> {
        try await recent(query.selection, [StickinessQuery.name] + query.keyParts, age, for: asker, size: \.size) {
            try await answer(to: query)
        }
    }
}

/// Cache format: the format number, the count of numbers, and the numbers of users.
enum StickinessCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: Stickiness) -> [UInt8] {
        var writer = TableWriter()
        writer.number(format)
        writer.number(Int64(answer.exactly.count))
        for users in answer.exactly { writer.number(users) }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> Stickiness {
        try TableCursor.answer(in: bytes, format: format) { (cursor) throws(GroupTable.Unreadable) in
            Stickiness(exactly: try (0..<cursor.length()).map { (_) throws(GroupTable.Unreadable) in try cursor.count() })
        }
    }
}
