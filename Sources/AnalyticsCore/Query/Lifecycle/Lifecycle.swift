/// How many users of each bucket are new, came back, or did not.
public struct Lifecycle: Sendable, Equatable {
    /// What a user is in a bucket.
    public enum State: String, Sendable, CaseIterable {
        /// The first of all stored events lies in it.
        case new
        /// Was there in the bucket before.
        case returning
        /// Was there earlier, and not in the bucket before.
        case resurrecting
        /// Was there in the bucket before, and is not in this one.
        case dormant

        var index: Int {
            switch self {
            case .new: 0
            case .returning: 1
            case .resurrecting: 2
            case .dormant: 3
            }
        }
    }

    /// By state, in the order of the cases, and bucket.
    public var users: [[Int64]]

    public func users(_ state: State) -> [Int64] { users[state.index] }

    /// About the bytes that it takes in memory.
    public var size: Int { 128 + users.reduce(0) { $0 + $1.count * 8 } }
}

public struct LifecycleQuery: Sendable {
    /// Its range is that of ``starts``.
    public let selection: Selection
    /// The start of the bucket before the first one, those of the buckets, rising, and the end of the last.
    public let starts: [Timestamp]

    /// - Precondition: `starts` are three or more.
    public init(_ selection: Selection, starts: [Timestamp]) {
        var selection = selection
        (selection.from, selection.to) = (starts.first, starts.last)
        self.selection = selection
        self.starts = starts
    }

    var buckets: Int { starts.count - 2 }
}

extension LifecycleQuery: RowQuestion {
    typealias Codec = LifecycleCodec

    static let name = "lifecycle"

    var keyParts: [String] { starts.map { String($0.milliseconds) } }

    func accepts(_ answer: Lifecycle) -> Bool { answer.users.allSatisfy { $0.count == buckets } }

    /// Who is new is decided by all that is stored.
    func reading(over range: Range<Timestamp>) -> Reading { Reading(from: nil, to: starts.last) }

    func reducer(over range: Range<Timestamp>) -> LifecycleTally { LifecycleTally(self) }
}

extension QueryEngine {
    /// The users of each bucket by state, as old as they may be.
    public func lifecycle(_ query: LifecycleQuery, _ age: AnswerAge, for asker: Asker) async throws -> Answered<Lifecycle> {
        try await recent(query.selection, [LifecycleQuery.name] + query.keyParts, age, for: asker, size: \.size) {
            try await answer(to: query)
        }
    }
}

/// As the cache keeps it: the format, how many buckets there are, then of each state its users by bucket.
enum LifecycleCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: Lifecycle) -> [UInt8] {
        var writer = TableWriter()
        writer.number(format)
        writer.number(Int64(answer.users[0].count))
        for users in answer.users {
            for count in users { writer.number(count) }
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> Lifecycle {
        try TableCursor.answer(in: bytes, format: format) { (cursor) throws(GroupTable.Unreadable) in
            let buckets = try cursor.length()
            let answer = Lifecycle(
                users: try Lifecycle.State.allCases.map { (_) throws(GroupTable.Unreadable) in
                    try (0..<buckets).map { (_) throws(GroupTable.Unreadable) in try cursor.count() }
                })
            for bucket in 1..<max(1, buckets) {
                // Who was there in the bucket before has come back, or has not.
                let before = Lifecycle.State.allCases.dropLast().reduce(Int64(0)) { $0 &+ answer.users[$1.index][bucket - 1] }
                guard answer.users(.returning)[bucket] &+ answer.users(.dormant)[bucket] == before else { throw .damaged }
            }
            return answer
        }
    }
}
