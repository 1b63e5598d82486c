internal import AnalyticsJSON

/// Which events an erasure covers, without saying whose they are. It only ever comes to cover more.
struct Tombstone: Sendable, Equatable {
    /// Somewhere under the path is one of these values.
    struct Condition: Sendable, Equatable {
        var path: [String]
        var values: Set<SaltedDigest>
    }

    var salt: Salt
    /// Events that were received later are not covered.
    var until: Timestamp
    /// Each as in ``Selection``: any of these; all when empty.
    var users: Set<SaltedDigest> = []
    var anonymous: Set<SaltedDigest> = []
    var types: Set<SaltedDigest> = []
    var sources: Set<SaltedDigest> = []
    var correlations: Set<SaltedDigest> = []
    var data: [Condition] = []
    var from: Timestamp?
    var to: Timestamp?
    /// Anonymous ids that belong to the users: their events without a user are the users' too.
    var identified: Set<SaltedDigest> = []

    init(salt: Salt, until: Timestamp) {
        self.salt = salt
        self.until = until
    }

    init(_ selection: Selection, salt: Salt, until: Timestamp) {
        self.init(salt: salt, until: until)
        func digests(_ kind: SaltedDigest.Kind, _ values: [String]) -> Set<SaltedDigest> {
            Set(values.map { SaltedDigest(salt, kind, $0) })
        }
        users = digests(.user, selection.userIds)
        anonymous = digests(.anonymous, selection.anonymousIds)
        types = digests(.type, selection.types)
        sources = digests(.source, selection.sources)
        correlations = digests(.correlation, selection.correlationIds)
        data = selection.data.map { condition in
            let values = condition.values.flatMap(DataCondition.scalars(of:)).map { SaltedDigest(salt, $0) }
            return Condition(path: condition.path, values: Set(values))
        }
        (from, to) = (selection.from, selection.to)
    }

    /// Whether it names nobody: then it is tried on every event.
    var isGeneral: Bool { users.isEmpty && anonymous.isEmpty }

    /// About the bytes that it takes as it is stored; a table in memory takes as much again.
    var size: Int {
        let digests = [users, anonymous, types, sources, correlations, identified] + data.map(\.values)
        let paths = data.flatMap(\.path).reduce(0) { $0 + $1.utf8.count }
        return 100 + paths + 16 * digests.reduce(0) { $0 + $1.count }
    }

    /// Of two that are or were those of one erasure.
    func covers(allOf other: Tombstone) -> Bool {
        salt == other.salt && until >= other.until && identified.isSuperset(of: other.identified)
    }

    /// Takes in what another one of the same erasure covers.
    mutating func formUnion(_ other: Tombstone) {
        until = max(until, other.until)
        if salt == other.salt { identified.formUnion(other.identified) }
    }

    mutating func identify(_ anonymousIds: [String]) {
        for id in anonymousIds { identified.insert(SaltedDigest(salt, .anonymous, id)) }
    }

    /// Whether a link joins an anonymous id with one of the users, and was accepted in time.
    func names(_ link: Erasure.LateLink, receivedAt: Timestamp) -> Bool {
        receivedAt <= until && users.contains(SaltedDigest(salt, .user, link.user.text))
    }

    /// Whether its anonymous id is known to be the users'.
    func knows(_ link: Erasure.LateLink) -> Bool { identified.contains(SaltedDigest(salt, .anonymous, link.anonymousId.text)) }

    /// `reader` reads ``data``'s paths, in their order.
    func covers(_ event: Event, reading reader: PropertyReader?) -> Bool {
        event.receivedAt <= until && isOfUsers(event) && selects(event, reading: reader)
    }

    /// Whether it would cover an event whose anonymous id turned out to be the users'.
    func mayCover(_ event: Event) -> Bool {
        !users.isEmpty && event.userId == nil && event.anonymousId != nil && event.receivedAt <= until && selects(event, reading: nil)
    }

    private func selects(_ event: Event, reading reader: PropertyReader?) -> Bool {
        guard from.map({ event.timestamp >= $0 }) ?? true, to.map({ event.timestamp < $0 }) ?? true,
            holds(types, .type, event.type), holds(sources, .source, event.source), holds(anonymous, .anonymous, event.anonymousId),
            holds(correlations, .correlation, event.correlationId)
        else { return false }
        if data.isEmpty { return true }
        let reader = reader ?? PropertyReader(paths)
        guard let text = event.data?.text, let values = try? reader.values({ _ in PaddedBytes(text) }) else { return false }
        return zip(data, values).allSatisfy { condition, scalars in
            scalars.contains { condition.values.contains(SaltedDigest(salt, $0)) }
        }
    }

    var paths: [PropertyPath] { data.compactMap { try? PropertyPath(.data, $0.path.joined(separator: ".")) } }

    private func isOfUsers(_ event: Event) -> Bool {
        guard !users.isEmpty else { return true }
        if event.userId != nil { return holds(users, .user, event.userId) }
        return !identified.isEmpty && holds(identified, .anonymous, event.anonymousId)
    }

    private func holds(_ any: Set<SaltedDigest>, _ kind: SaltedDigest.Kind, _ value: String?) -> Bool {
        any.isEmpty || value.map { any.contains(SaltedDigest(salt, kind, $0)) } ?? false
    }
}
