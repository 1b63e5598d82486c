/// Counts the events of one user. It gets rows of that user only.
struct UserProfileTally: RowReducer {
    private var events = SessionEvents(byteLimit: Self.byteLimit)
    private var types: [GroupKey] = []
    private var typeNumbers: [GroupKey: Int32] = [:]
    private var counts: [Int64] = []
    private var first = Int64.max
    private var last = Int64.min
    private var sessions: Int64 = 0
    private var typeBytes = 0
    /// The times of the newest events, and some others.
    private var newest: [Int64] = []

    /// Maximum bytes of types, and of the user's events.
    static let byteLimit = 96 << 20

    var fields: [RowField] { [.sessionId, .type] }
    var isByActor: Bool { true }
    var needsTimes: Bool { true }

    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable) {
        let column = rows.columns[1]
        let marks = try column.entries.map { (values) throws(GroupTable.Unreadable) in number(of: EventMeasurement.keys(values)[0]) }
        events.load(SessionSlot(rows, sessionIds: rows.columns[0], marked: column, marks: marks), slot: slot)
    }

    private mutating func number(of type: GroupKey) -> Int32 {
        if let number = typeNumbers[type] { return number }
        let number = Int32(types.count)
        typeNumbers[type] = number
        types.append(type)
        counts.append(0)
        typeBytes += type.size + 80
        return number
    }

    mutating func begin(isUser: Bool) { events.isUser = isUser }

    mutating func add(slot: Int, _ rows: Range<Int>) { events.add(slot: slot, rows) }

    mutating func end() {
        // A second reference would copy the events.
        var own = events
        events = SessionEvents(byteLimit: 0)
        own.each { event in
            counts[Int(event.mark)] += 1
            first = min(first, event.time)
            last = max(last, event.time)
            newest.append(event.time)
            if newest.count >= 10_000 { cutNewest() }
        }
        cutNewest()
        own.cut(gap: Int64(SessionCutter.defaultGap) * 60_000, starting: .min ..< .max) { _ in sessions += 1 }
        events = own
    }

    /// Newest first.
    private mutating func cutNewest() {
        newest.sort(by: >)
        newest.removeLast(max(0, newest.count - UserProfile.newestLimit))
    }

    func check() throws {
        if events.areTooMany || typeBytes > Self.byteLimit { throw QueryTooLargeError(.tooManyKeys) }
    }

    func answer() throws -> UserProfile {
        try check()
        let sorted = counts.indices.filter { counts[$0] > 0 }
            .sorted { counts[$0] != counts[$1] ? counts[$0] > counts[$1] : types[$0] < types[$1] }
        let listed = sorted.prefix(UserProfile.typeLimit).compactMap { index -> UserProfile.TypeCount? in
            if case .text(let type) = types[index] { UserProfile.TypeCount(type: type.text, events: counts[index]) } else { nil }
        }
        let total = counts.reduce(0, +)
        return UserProfile(
            first: Timestamp(milliseconds: total == 0 ? 0 : first), last: Timestamp(milliseconds: total == 0 ? 0 : last), events: total,
            sessions: sessions, types: listed, otherTypes: total - listed.reduce(0) { $0 + $1.events },
            newest: newest.map(Timestamp.init(milliseconds:)))
    }
}
