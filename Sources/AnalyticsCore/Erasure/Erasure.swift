/// A request to delete events, and its progress.
///
/// It covers events received up to the time of the request. Its tombstone stays for ever; its selection is deleted when it is done
/// (docs/decisions/erasure.md).
public struct Erasure: Sendable, Equatable {
    /// In this order, except ``failed``; `verifying` returns to `settling` if it finds anything.
    public enum State: String, Sendable, CaseIterable {
        case requested, erasing, settling, verifying, cleaning, done
        /// It cannot be carried out: ``Erasure/failure``.
        case failed
    }

    /// Progress of a pass over the events.
    struct Walk: Sendable, Equatable {
        /// Index of the current one of ``Erasure/selections``.
        var list = 0
        /// Everything from here on is done; `nil` if nothing is.
        var end: Timestamp?
        /// Events in this range may be deleted but not yet marked, by this pass or an earlier one. At most a UTC day.
        var slice: Range<Timestamp>?
        /// Approximate number of events that this pass has deleted.
        var found: Int64 = 0

        mutating func restart() { self = Walk(slice: slice) }
    }

    /// An `$identify` event of one of the users that was accepted before the erasure was requested and stored after it.
    struct LateLink: Sendable, Hashable {
        var anonymousId: BytewiseString
        var user: BytewiseString
        /// The event's timestamp.
        var time: Timestamp

        init(anonymousId: String, user: String, time: Timestamp) {
            self.anonymousId = BytewiseString(anonymousId)
            self.user = BytewiseString(user)
            self.time = time
        }

        /// `nil` if the event links nothing.
        init?(_ event: Event) {
            guard event.type.equalsUTF8(IdentityLink.eventType), let user = event.userId, let id = event.anonymousId else { return nil }
            self.init(anonymousId: id, user: user, time: event.timestamp)
        }

        /// The earliest link of each anonymous id and user. The earliest decides whose the id is.
        static func earliest(_ links: [LateLink]) -> [LateLink] {
            let pairs = links.map { ([$0.anonymousId, $0.user], $0) }
            return Array(Dictionary(pairs) { $0.time <= $1.time ? $0 : $1 }.values)
        }
    }

    /// The worker that may work on an erasure, and until when.
    struct Lease: Sendable, Equatable {
        var owner: String
        var until: Timestamp
    }

    public let project: ProjectID
    public let id: String
    var tombstone: Tombstone
    /// What was requested; `nil` once it is erased.
    public internal(set) var selection: Selection?
    /// Anonymous ids of its users. Empty before they are looked up, if there are too many to list, and once it is erased.
    var identified: [String] = []
    /// Links whose anonymous ids are not yet attributed to a user. Empty once the ids are looked up.
    var links: [LateLink] = []
    public internal(set) var state: State = .requested
    var walk = Walk()
    /// UTC days from which events were deleted.
    var days: [Range<Int64>] = []
    /// UTC days from which flushes may have deleted events without marking them.
    var repairs: [Range<Int64>] = []
    /// The repairs of the previous pass. They are marked again, as a deletion may have taken effect late.
    var repaired: [Range<Int64>] = []
    /// Time of the last deletion, or the end of the first pass.
    var erasedAt: Timestamp?
    public internal(set) var deletedEvents: Int64 = 0
    public internal(set) var deletedDeadLetters: Int64 = 0
    /// Dead letters that could not be read and so were not checked.
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

    /// Events received up to this time are erased.
    public var requestedAt: Timestamp { tombstone.until }

    public var isOpen: Bool { state != .done && state != .failed }

    /// The time down to which this pass has looked at every event; `nil` if it has not begun.
    public var position: Timestamp? { walk.end }

    /// Number of anonymous ids that belong to its users.
    public var identifiedCount: Int { tombstone.identified.count }

    /// Up to this many anonymous ids, the store searches by id. Beyond it, every event is read.
    static let namedIds = 1_000
    /// Maximum number of pending links; one flush may exceed it.
    static let lateLinks = 1_000

    /// Whether there may be deleted events with unmarked minutes.
    var hasRepairs: Bool { walk.slice != nil || !repairs.isEmpty || !repaired.isEmpty }

    /// Whether it was resumed for anonymous ids that were linked to its users after everything else was erased.
    var isOfLateLinks: Bool { !tombstone.users.isEmpty && selection.map(\.userIds.isEmpty) ?? false }

    /// The selections of a pass, in order. Together they contain everything that may be covered, and as little else as possible.
    var selections: [Selection] {
        guard let selection else {
            return [Selection(project: project, from: tombstone.from, to: tombstone.to)]
        }
        guard !tombstone.identified.isEmpty, !isOfLateLinks else { return [selection] }
        var others = selection
        others.userIds = []
        // With anonymous ids of its own the selection is already narrow.
        if others.anonymousIds.isEmpty { others.anonymousIds = identified }
        return [selection, others]
    }

    /// Restarts for everything received until `time`.
    mutating func restart(until time: Timestamp) {
        tombstone.until = max(tombstone.until, time)
        // The selection is no longer known: every event is read.
        if isOfLateLinks { selection = nil }
        begin()
    }

    private mutating func begin() {
        state = .requested
        walk.restart()
        (doneAt, failure) = (nil, nil)
    }

    /// Adds links and restarts. If everything else is erased already, only the events of their anonymous ids are read.
    mutating func add(_ links: [LateLink]) {
        if state == .cleaning || state == .done { selection = Selection(project: project, from: tombstone.from, to: tombstone.to) }
        self.links = LateLink.earliest(self.links + links)
        begin()
    }

    /// Adds anonymous ids that belong to the users. Ids found earlier stay, even if they are not found again.
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

    mutating func touch(_ day: Int64) { days.add(day) }

    /// Adds days to ``repairs``. Returns whether any is new. Restarts an erasure that was `cleaning` or `done`, as there are events again.
    mutating func note(_ days: Set<Int64>) -> Bool {
        guard !days.allSatisfy({ day in repairs.contains { $0.contains(day) } }) else { return false }
        for day in days { repairs.add(day) }
        if state == .cleaning || state == .done { restart(until: requestedAt) }
        return true
    }

    /// Removes everything that was requested.
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
