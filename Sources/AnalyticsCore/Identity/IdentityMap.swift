/// Which user an anonymous id belongs to. A function of the links, in whatever order they come.
struct IdentityMap: Sendable {
    /// By the anonymous id's key.
    let users: [ActorKey: ActorKey]
    /// Users that an anonymous id belongs to, and their ids.
    let joined: [ActorKey: BytewiseString]
    /// Depends on every link, and on no order: answers are cached under it.
    let digest: Int64

    static let empty = IdentityMap([])

    var isEmpty: Bool { users.isEmpty }

    /// An anonymous id belongs to the user of the earliest link, and of those at one moment to the one with the smallest id.
    ///
    /// - Parameter days: The links of days, which are told by their numbers since 1970.
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
            // Both are as good as random already; their parts are mixed so that no two pairs exchange users unseen.
            digest &+= (anonymous.low ^ (user.high &* 0x9E37_79B9_7F4A_7C15)) &* (user.low | 1)
        }
        self.digest = Int64(bitPattern: digest)
    }

    /// The actor that events of this one are of.
    func actor(_ key: ActorKey) -> ActorKey { users[key] ?? key }

    /// Whether events of several actors are of this one.
    func isMerged(_ key: ActorKey) -> Bool { users[key] != nil || joined[key] != nil }
}
