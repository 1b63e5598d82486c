/// Which user an anonymous id belongs to. A function of the set of links, independent of their order.
struct IdentityMap: Sendable {
    /// By the anonymous id's key.
    let users: [ActorKey: ActorKey]
    /// Users to whom anonymous ids belong, and their user ids.
    let joined: [ActorKey: BytewiseString]
    /// Depends on every link and not on their order. Part of the cache key of answers.
    let digest: Int64

    static let empty = IdentityMap([])

    var isEmpty: Bool { users.isEmpty }

    /// An anonymous id belongs to the user of its earliest link. If several links have the same time, the smallest user id wins.
    ///
    /// - Parameter days: Links by day number since 1970.
    init(_ days: [(day: Int64, links: [IdentityLink])]) {
        var first: [ActorKey: (day: Int64, link: IdentityLink)] = [:]
        for (day, links) in days {
            for link in links {
                guard let before = first[link.anonymous] else {
                    first[link.anonymous] = (day, link)
                    continue
                }
                let isEarlier = (day, link.time) < (before.day, before.link.time)
                let isTied = (day, link.time) == (before.day, before.link.time)
                if isEarlier || (isTied && link.user < before.link.user) { first[link.anonymous] = (day, link) }
            }
        }
        var digest: UInt64 = 0
        users = first.mapValues { ActorKey(.user, $0.link.user.text) }
        joined = Dictionary(first.values.map { (ActorKey(.user, $0.link.user.text), $0.link.user) }) { name, _ in name }
        for (anonymous, user) in users {
            // Both keys are uniform. The parts are mixed so that two pairs that swap users change the digest.
            digest &+= (anonymous.low ^ (user.high &* 0x9E37_79B9_7F4A_7C15)) &* (user.low | 1)
        }
        self.digest = Int64(bitPattern: digest)
    }

    /// The user to whom this actor's events belong, or the actor itself.
    func actor(_ key: ActorKey) -> ActorKey { users[key] ?? key }

    /// Whether the events of several actors count as this one's.
    func isMerged(_ key: ActorKey) -> Bool { users[key] != nil || joined[key] != nil }
}
