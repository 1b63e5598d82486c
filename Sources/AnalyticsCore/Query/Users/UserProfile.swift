/// A summary of one user's events. Without events, the times mean nothing.
public struct UserProfile: Sendable, Equatable {
    public struct TypeCount: Sendable, Equatable {
        public var type: String
        public var events: Int64
    }

    public var first: Timestamp
    public var last: Timestamp
    public var events: Int64
    /// As in ``SessionsQuery``, with the default gap.
    public var sessions: Int64
    /// In descending order of events.
    public var types: [TypeCount]
    /// Events of types that are not listed.
    public var otherTypes: Int64
    /// The times of the newest events, newest first.
    var newest: [Timestamp]

    /// Maximum number of types listed.
    static let typeLimit = 100
    /// Maximum number of newest events kept.
    public static let newestLimit = 100

    /// Approximate bytes in memory.
    var size: Int { types.reduce(128 + newest.count * 8) { $0 + $1.type.utf8.count + 32 } }
}

/// The user in a question.
public enum UserReference: Sendable, Equatable {
    case userId(String)
    /// An anonymous id that belongs to a user stands for that user.
    case anonymousId(String)

    fileprivate var name: ActorName {
        switch self {
        case .userId(let id): ActorName(.user, id)
        case .anonymousId(let id): ActorName(.anonymous, id)
        }
    }
}

struct UserProfileQuery: RowQuestion {
    typealias Codec = UserProfileCodec

    let selection: Selection
    let user: ActorKey

    static let name = "user"

    var keyParts: [String] { [String(user.high), String(user.low)] }

    func actors(_ identities: IdentityMap) -> Set<ActorKey>? {
        Set(identities.users.lazy.filter { $0.value == user }.map(\.key)).union([user])
    }

    func reducer(over range: Range<Timestamp>) -> UserProfileTally { UserProfileTally() }
}

extension QueryEngine {
    /// The profile of a user, and the user that the reference stands for.
    ///
    /// - Parameter selection: Without a range: all stored events are read.
    public func user(
        _ reference: UserReference, _ selection: Selection, _ age: AnswerAge, for asker: Asker
    ) async throws -> (user: UserReference, answered: Answered<UserProfile>) {
        let user = try await resolved(reference, of: selection.project, for: asker)
        for _ in 0..<Self.readings {
            // The first event may be deleted in the meantime.
            do { return (user, try await profile(of: user, selection, age, for: asker)) } catch is ExpiredRangeError { continue }
        }
        return (user, try await profile(of: user, selection, age, for: asker))
    }

    private func profile(
        of user: UserReference, _ selection: Selection, _ age: AnswerAge, for asker: Asker
    ) async throws -> Answered<UserProfile> {
        var selection = selection
        selection.from = try await firstStored(of: selection.project)
        let query = UserProfileQuery(selection: selection, user: user.name.key)
        return try await recent(query.selection, [UserProfileQuery.name] + query.keyParts, age, for: asker, size: \.size) {
            try await answer(to: query)
        }
    }

    private func resolved(_ reference: UserReference, of project: ProjectID, for asker: Asker) async throws -> UserReference {
        let identities = try await identityMap(of: project, for: asker)
        guard let owner = identities.users[reference.name.key], let id = identities.joined[owner] else { return reference }
        return .userId(id.text)
    }

    /// The given anonymous ids that belong to a user.
    public func belonging(_ anonymousIds: [String], to user: String, of project: ProjectID, for asker: Asker) async throws -> [String] {
        let identities = try await identityMap(of: project, for: asker)
        let owner = ActorKey(.user, user)
        return anonymousIds.filter { identities.users[ActorKey(.anonymous, $0)] == owner }
    }
}

/// Cache format: the format number, the count of events, the first and last times, the sessions, the types with their number first,
/// the events of other types, and the times of the newest events with their number first.
enum UserProfileCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: UserProfile) -> [UInt8] {
        var writer = TableWriter()
        writer.number(format)
        writer.number(answer.events)
        for time in [answer.first, answer.last] { writer.word(UInt64(bitPattern: time.milliseconds)) }
        writer.number(answer.sessions)
        writer.number(Int64(answer.types.count))
        for type in answer.types {
            writer.text(type.type)
            writer.number(type.events)
        }
        writer.number(answer.otherTypes)
        writer.number(Int64(answer.newest.count))
        for time in answer.newest { writer.word(UInt64(bitPattern: time.milliseconds)) }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> UserProfile {
        try TableCursor.answer(in: bytes, format: format) { (cursor) throws(GroupTable.Unreadable) in
            let events = try cursor.count()
            let (first, last) = (Int64(bitPattern: try cursor.word()), Int64(bitPattern: try cursor.word()))
            guard first <= last, first >= Timestamp.earliest.milliseconds, last <= Timestamp.latest.milliseconds else { throw .damaged }
            let sessions = try cursor.count()
            let types = try (0..<cursor.length()).map { (_) throws(GroupTable.Unreadable) in
                UserProfile.TypeCount(type: try GroupTable.string(cursor.text()), events: try cursor.count())
            }
            let others = try cursor.count()
            guard types.reduce(others, { $0 &+ $1.events }) == events, (sessions > 0) == (events > 0), sessions <= events else {
                throw .damaged
            }
            let newest = try (0..<cursor.length()).map { (_) throws(GroupTable.Unreadable) in
                Timestamp(milliseconds: Int64(bitPattern: try cursor.word()))
            }
            guard newest.count == min(Int(events), UserProfile.newestLimit), zip(newest, newest.dropFirst()).allSatisfy({ $0 >= $1 }),
                newest.allSatisfy({ (first...last).contains($0.milliseconds) })
            else { throw .damaged }
            return UserProfile(
                first: Timestamp(milliseconds: first), last: Timestamp(milliseconds: last), events: events, sessions: sessions,
                types: types, otherTypes: others, newest: newest)
        }
    }
}
