package import AnalyticsCore
internal import AnalyticsJSON

/// An event as a count one by one sees it.
package struct HistoryEvent: Sendable {
    /// Milliseconds since 1970.
    package var time: Int64
    package var type: String
    package var userId: String?
    package var anonymousId: String?
    package var session: String?
    /// JSON at `data.<property>`; `nil` where nothing is there.
    package var value: String?
    /// Who did it, identities merged; `nil` for nobody.
    package var user: BytewiseString?
}

/// Makes logs of few users: events are often at one moment, or as far from another as the pauses say, and some say who is who.
package struct Histories: Sendable {
    /// When the first event may be, and in how many days the others are, but for pauses.
    package var begin = noon
    package var days = 5
    package var types = 3
    package var users = ["ann", "bob"]
    package var devices = ["d1", "d2"]
    /// None where there are none.
    package var sessions: [String] = []
    package var property = "page"
    package var values: [String?] = [nil]
    /// Milliseconds from another event.
    package var pauses: [Int64] = [0]
    /// Percent of the events that are so far from another.
    package var closeness = 70

    package private(set) var facts: [HistoryEvent] = []

    package static let day: Int64 = 86_400_000

    package init() {}

    /// More events, with ids that begin so.
    package mutating func events(_ prefix: String, count: Int, _ random: inout Seeded) -> [Event] {
        (0..<count).map { index in
            var time = begin.milliseconds + Int64(random.below(days * Int(Self.day)))
            if random.chance(closeness), let other = facts.randomElement(using: &random) {
                time = other.time + pauses.randomElement(using: &random)!
            }
            let fact = HistoryEvent(
                time: time, type: random.chance(5) ? "$identify" : "t\(random.below(types))",
                userId: random.chance(50) ? users.randomElement(using: &random) : nil,
                anonymousId: random.chance(60) ? devices.randomElement(using: &random) : nil,
                session: random.chance(50) ? sessions.randomElement(using: &random) : nil, value: values.randomElement(using: &random)!)
            facts.append(fact)
            return event("\(prefix)\(index)", fact)
        }
    }

    package func event(_ id: String, _ fact: HistoryEvent) -> Event {
        let time = Timestamp(milliseconds: fact.time)
        var event = Event(
            project: Project.default, id: id, type: fact.type, source: "web", timestamp: time, clientTimestamp: time,
            data: JSONText(normalised: fact.value.map { "{\"\(property)\":\($0)}" } ?? "{}"), receivedAt: noon, ingestID: "r-\(id):0")
        (event.userId, event.anonymousId, event.sessionId) = (fact.userId, fact.anonymousId, fact.session)
        return event
    }

    /// All events, with who did them.
    package var identified: [HistoryEvent] {
        var owners: [BytewiseString: (time: Int64, user: BytewiseString)] = [:]
        for fact in facts where fact.type == "$identify" {
            guard let user = fact.userId.map({ BytewiseString($0) }), let anonymous = fact.anonymousId.map({ BytewiseString($0) }) else {
                continue
            }
            if let before = owners[anonymous], (before.time, before.user) <= (fact.time, user) { continue }
            owners[anonymous] = (fact.time, user)
        }
        return facts.map { fact in
            var fact = fact
            let own = fact.userId ?? fact.anonymousId.flatMap { owners[BytewiseString($0)]?.user.text }
            fact.user = (own.map { "known \($0)" } ?? fact.anonymousId.map { "anonymous \($0)" }).map { BytewiseString($0) }
            return fact
        }
    }
}
