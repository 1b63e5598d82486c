internal import AnalyticsJSON

/// Which events an erasure covers, without revealing whose they are. Its coverage only grows.
struct Tombstone: Sendable, Equatable {
    /// One of these values is under the path.
    struct Condition: Sendable, Equatable {
        var path: [String]
        var values: Set<SaltedDigest>
    }

    var salt: Salt
    /// Events received later are not covered.
    var until: Timestamp
    /// Each as in ``Selection``: any of these; all if empty.
    var users: Set<SaltedDigest> = []
    var anonymous: Set<SaltedDigest> = []
    var types: Set<SaltedDigest> = []
    var sources: Set<SaltedDigest> = []
    var correlations: Set<SaltedDigest> = []
    var data: [Condition] = []
    var from: Timestamp?
    var to: Timestamp?
    /// Anonymous ids that belong to the users. Their events without a user are covered too.
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

    /// Whether it names no ids: then it is tried on every event.
    var isGeneral: Bool { users.isEmpty && anonymous.isEmpty }

    /// Approximate stored size in bytes; the in-memory table takes as much again.
    var size: Int {
        let digests = [users, anonymous, types, sources, correlations, identified] + data.map(\.values)
        let paths = data.flatMap(\.path).reduce(0) { $0 + $1.utf8.count }
        return 100 + paths + 16 * digests.reduce(0) { $0 + $1.count }
    }

    /// Whether it covers everything that `other`, a version of the same erasure, covers.
    func covers(allOf other: Tombstone) -> Bool {
        salt == other.salt && until >= other.until && identified.isSuperset(of: other.identified)
    }

    /// Adds the coverage of another version of the same erasure.
    mutating func formUnion(_ other: Tombstone) {
        until = max(until, other.until)
        if salt == other.salt { identified.formUnion(other.identified) }
    }

    mutating func identify(_ anonymousIds: [String]) {
        for id in anonymousIds { identified.insert(SaltedDigest(salt, .anonymous, id)) }
    }

    /// Whether a link joins an anonymous id with one of the users, and was accepted before the request.
    func names(_ link: Erasure.LateLink, receivedAt: Timestamp) -> Bool {
        receivedAt <= until && users.contains(SaltedDigest(salt, .user, link.user.text))
    }

    /// Whether its anonymous id is known to belong to the users.
    func knows(_ link: Erasure.LateLink) -> Bool { identified.contains(SaltedDigest(salt, .anonymous, link.anonymousId.text)) }

    /// `reader` reads ``data``'s paths, in their order.
    func covers(_ event: Event, reading reader: PropertyReader?) -> Bool {
        event.receivedAt <= until && isOfUsers(event) && selects(event, reading: reader)
    }

    /// Whether it would cover an event if its anonymous id belonged to the users.
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
