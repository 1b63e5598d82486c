/// A request to delete events, and how far it is done.
///
/// It concerns events that were received until it was requested. Its tombstone stays for ever; what was asked for is forgotten once it is
/// done (docs/decisions/erasure.md).
public struct Erasure: Sendable, Equatable {
    /// In this order, but for ``failed``; `verifying` goes back to `settling` where it finds anything.
    public enum State: String, Sendable, CaseIterable {
        case requested, erasing, settling, verifying, cleaning, done
        /// It cannot be done as it was asked for: ``Erasure/failure``.
        case failed
    }

    /// How far a pass over the events has come.
    struct Walk: Sendable, Equatable {
        /// Which of ``Erasure/selections`` is gone through.
        var list = 0
        /// Everything from here on is done; `nil` where nothing is.
        var end: Timestamp?
        /// Of which events may be deleted and not marked, in this pass or an earlier one. At most a UTC day.
        var slice: Range<Timestamp>?
        /// Events that this pass has deleted, about.
        var found: Int64 = 0

        mutating func restart() { self = Walk(slice: slice) }
    }

    /// An `$identify` event of one of the users that was accepted before the erasure was requested, and came to be stored after it.
    struct LateLink: Sendable, Hashable {
        var anonymousId: BytewiseString
        var user: BytewiseString
        /// When the event happened.
        var time: Timestamp

        init(anonymousId: String, user: String, time: Timestamp) {
            self.anonymousId = BytewiseString(anonymousId)
            self.user = BytewiseString(user)
            self.time = time
        }

        /// `nil` where the event joins nothing.
        init?(_ event: Event) {
            guard event.type.equalsUTF8(IdentityLink.eventType), let user = event.userId, let id = event.anonymousId else { return nil }
            self.init(anonymousId: id, user: user, time: event.timestamp)
        }

        /// Of each anonymous id and user the earliest, which alone decides whose the id is.
        static func earliest(_ links: [LateLink]) -> [LateLink] {
            let pairs = links.map { ([$0.anonymousId, $0.user], $0) }
            return Array(Dictionary(pairs) { $0.time <= $1.time ? $0 : $1 }.values)
        }
    }

    /// Whose it is to work on for the present.
    struct Lease: Sendable, Equatable {
        var owner: String
        var until: Timestamp
    }

    public let project: ProjectID
    public let id: String
    var tombstone: Tombstone
    /// What was asked for; `nil` once it is erased.
    public internal(set) var selection: Selection?
    /// Anonymous ids that belong to its users: empty before they are looked up, where there are too many to name, and once it is erased.
    var identified: [String] = []
    /// Of their anonymous ids it is still to be decided whose they are. None is left once it is.
    var links: [LateLink] = []
    public internal(set) var state: State = .requested
    var walk = Walk()
    /// UTC days from which events were deleted.
    var days: [Range<Int64>] = []
    /// UTC days from which writers may have deleted events that they have not marked.
    var repairs: [Range<Int64>] = []
    /// The same, marked by the pass before this one: a deletion may have taken effect late.
    var repaired: [Range<Int64>] = []
    /// When the last events were deleted, or the first pass ended.
    var erasedAt: Timestamp?
    public internal(set) var deletedEvents: Int64 = 0
    public internal(set) var deletedDeadLetters: Int64 = 0
    /// Whole deliveries among the dead letters, into which nobody has looked.
    public internal(set) var unreadDeadLetters: Int64 = 0
    public internal(set) var doneAt: Timestamp?
    public internal(set) var failure: String?
    var lease: Lease?

    init(project: ProjectID, id: String, tombstone: Tombstone, selection: Selection?) {
        self.project = project
        self.id = id
        self.tombstone = tombstone
        self.selection = selection
    }

    /// Events received until then are erased.
    public var requestedAt: Timestamp { tombstone.until }

    public var isOpen: Bool { state != .done && state != .failed }

    /// The moment up to which everything is looked through, in this pass; `nil` where nothing is.
    public var position: Timestamp? { walk.end }

    /// How many anonymous ids belong to its users.
    public var identifiedCount: Int { tombstone.identified.count }

    /// Anonymous ids that are named, so that the store can look for them; beyond, every event is looked at.
    static let namedIds = 1_000
    /// Links that wait at a time; more where one flush brings them.
    static let lateLinks = 1_000

    /// Whether there may be deleted events whose minutes are not marked.
    var hasRepairs: Bool { walk.slice != nil || !repairs.isEmpty || !repaired.isEmpty }

    /// Whether the selection is of anonymous ids that came to the users after everything else was erased.
    var isOfLateLinks: Bool { !tombstone.users.isEmpty && selection.map(\.userIds.isEmpty) ?? false }

    /// What a pass goes through, one after another: all that may be covered, and no more than that where it can be said.
    var selections: [Selection] {
        guard let selection else {
            return [Selection(project: project, from: tombstone.from, to: tombstone.to)]
        }
        guard !tombstone.identified.isEmpty, !isOfLateLinks else { return [selection] }
        var others = selection
        others.userIds = []
        // With anonymous ids of its own the selection is narrow already.
        if others.anonymousIds.isEmpty { others.anonymousIds = identified }
        return [selection, others]
    }

    /// Begins again, for all that was received until `time`.
    mutating func restart(until time: Timestamp) {
        tombstone.until = max(tombstone.until, time)
        // What was asked for is not known any more: everything is gone through.
        if isOfLateLinks { selection = nil }
        begin()
    }

    private mutating func begin() {
        state = .requested
        walk.restart()
        (doneAt, failure) = (nil, nil)
    }

    /// Takes links over, and begins again. Where everything else is erased already, only the events of their anonymous ids are gone through.
    mutating func add(_ links: [LateLink]) {
        if state == .cleaning || state == .done { selection = Selection(project: project, from: tombstone.from, to: tombstone.to) }
        self.links = LateLink.earliest(self.links + links)
        begin()
    }

    /// Adds anonymous ids that belong to the users. Those of an earlier time may be found no more, and stay.
    mutating func identify(_ anonymousIds: [String]) {
        tombstone.identify(anonymousIds)
        links = []
        if isOfLateLinks {
            selection?.anonymousIds += anonymousIds
            if selection?.anonymousIds.count ?? 0 > Self.namedIds { selection = nil }
            return
        }
        let named = Set((identified + anonymousIds).map { BytewiseString($0) })
        identified = named.count == tombstone.identified.count && named.count <= Self.namedIds ? named.map(\.text) : []
    }

    /// Adds a UTC day.
    mutating func touch(_ day: Int64) { days.add(day) }

    /// Adds days to those that are to be repaired. Returns whether that is new. Where everything was done, and there are events again, it is
    /// run once more.
    mutating func note(_ days: Set<Int64>) -> Bool {
        guard !days.allSatisfy({ day in repairs.contains { $0.contains(day) } }) else { return false }
        for day in days { repairs.add(day) }
        if state == .cleaning || state == .done { restart(until: requestedAt) }
        return true
    }

    /// Nothing of what was asked for is kept.
    mutating func forget() {
        selection = nil
        (identified, links) = ([], [])
    }
}

extension [Range<Int64>] {
    fileprivate mutating func add(_ day: Int64) {
        guard !contains(where: { $0.contains(day) }) else { return }
        self = coalesce((flatMap { [Int64]($0) } + [day]).sorted())
    }
}
