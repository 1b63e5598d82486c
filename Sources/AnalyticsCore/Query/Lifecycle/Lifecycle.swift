/// The number of new, returning, resurrecting and dormant users in each bucket.
public struct Lifecycle: Sendable, Equatable {
    /// The state of a user in a bucket.
    public enum State: String, Sendable, CaseIterable {
        /// The user's first stored event is in the bucket.
        case new
        /// Has events in the bucket, and in the previous one.
        case returning
        /// Has events in the bucket and before, but none in the previous bucket.
        case resurrecting
        /// Has events in the previous bucket, but none in this one.
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

    /// By state, in the order of the cases, then by bucket.
    public var users: [[Int64]]

    public func users(_ state: State) -> [Int64] { users[state.index] }

    /// Approximate bytes in memory.
    public var size: Int { 128 + users.reduce(0) { $0 + $1.count * 8 } }
}

public struct LifecycleQuery: Sendable {
    /// The range is the range of ``starts``.
    public let selection: Selection
    /// In ascending order: the start of the bucket before the first one, the starts of the buckets, and the end of the last.
    public let starts: [Timestamp]

    /// - Precondition: `starts` has three or more elements.
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

    /// All stored events decide which users are new.
    func reading(over range: Range<Timestamp>) -> Reading { Reading(from: nil, to: starts.last) }

    func reducer(over range: Range<Timestamp>) -> LifecycleTally { LifecycleTally(self) }
}

extension QueryEngine {
    /// The users of each bucket by state. The answer may be as old as `age` allows.
    public func lifecycle(_ query: LifecycleQuery, _ age: AnswerAge, for asker: Asker) async throws -> Answered<Lifecycle> {
        try await recent(query.selection, [LifecycleQuery.name] + query.keyParts, age, for: asker, size: \.size) {
            try await answer(to: query)
        }
    }
}

/// Cache format: the format number, the count of buckets, then for each state its users by bucket.
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
                // Every user of the previous bucket is returning or dormant.
                let before = Lifecycle.State.allCases.dropLast().reduce(Int64(0)) { $0 &+ answer.users[$1.index][bucket - 1] }
                guard answer.users(.returning)[bucket] &+ answer.users(.dormant)[bucket] == before else { throw .damaged }
            }
            return answer
        }
    }
}
