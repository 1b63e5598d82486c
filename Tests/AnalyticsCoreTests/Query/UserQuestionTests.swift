import AnalyticsJSON
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

/// Lifecycle, stickiness, paths, people and single users against a count one by one.
@Suite(.timeLimit(.minutes(5)))
struct UserQuestionTests {
    private static let minute: Int64 = 60_000
    private static let types = ["t0", "t2"]

    private func rig(_ random: inout Seeded) async throws -> HistoryRig {
        var histories = Histories()
        // Over a change to summer time.
        if random.chance(40) { histories.begin = Timestamp(rfc3339: "2026-03-26T12:00:00Z")! }
        histories.users = ["ann", "bob", "é", "e\u{301}"]
        histories.devices = ["d1", "d2", "ann"]
        histories.sessions = ["s1", "s2"]
        histories.values = [nil, #""/a""#, #""/b""#, "7", "true", #"["/b","/a"]"#]
        histories.pauses = [0, 0, 30 * Self.minute, 30 * Self.minute + 1, Self.minute, Histories.day, 2 * Histories.day]
        return try await HistoryRig(histories, &random)
    }

    private func calendar(_ random: inout Seeded, _ intervals: [CalendarInterval]) throws -> BucketCalendar {
        let zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]
        let rules = try #require(ZoneDatabase.system.rules(of: ZoneName(zones.randomElement(using: &random)!)!))
        return BucketCalendar(interval: intervals.randomElement(using: &random)!, rules: rules)
    }

    private static func key(_ fact: HistoryEvent) -> GroupKey {
        switch fact.value {
        case #""/a""#, #"["/b","/a"]"#: GroupKey("/a")
        case #""/b""#: GroupKey("/b")
        case "7": GroupKey(.integer(7))
        case "true": .boolean(true)
        default: .null
        }
    }

    private func range(_ selection: Selection) -> Range<Int64> { selection.from!.milliseconds..<selection.to!.milliseconds }

    // MARK: Lifecycle

    private func lifecycle(_ rig: HistoryRig, _ random: inout Seeded) throws -> (LifecycleQuery, [[Set<BytewiseString>]], Selection) {
        let selection = rig.selection(&random, types: Self.types)
        let calendar = try calendar(&random, [.day, .day, .week])
        let starts = try #require(calendar.starts(in: selection.from!..<selection.to!, limit: 100))
        let edges = [calendar.start(1, before: starts[0])] + starts + [calendar.next(after: starts.last!)]
        var users = Lifecycle.State.allCases.map { _ in starts.map { _ in Set<BytewiseString>() } }
        for user in rig.users(selection) {
            func isThere(_ bucket: Int) -> Bool {
                user.contains { $0.time >= edges[bucket].milliseconds && $0.time < edges[bucket + 1].milliseconds }
            }
            for bucket in 1..<edges.count - 1 {
                let isNew = user[0].time >= edges[bucket].milliseconds && isThere(bucket)
                let state: Lifecycle.State? =
                    switch (isThere(bucket), isThere(bucket - 1)) {
                    case (true, _) where isNew: .new
                    case (true, true): .returning
                    case (true, false): .resurrecting
                    case (false, true): .dormant
                    case (false, false): nil
                    }
                if let state { users[state.index][bucket - 1].insert(user[0].user!) }
            }
        }
        return (LifecycleQuery(selection, starts: edges), users, selection)
    }

    @Test(arguments: 0..<16 as Range<UInt64>)
    func lifecycleIsThatOfTheEvents(seed: UInt64) async throws {
        var random = Seeded(seed)
        let rig = try await rig(&random)
        for _ in 0..<8 {
            let (query, users, _) = try lifecycle(rig, &random)
            let expected = Lifecycle(users: users.map { $0.map { Int64($0.count) } })
            #expect(try await rig.engine.answer(to: query).answer == expected, "seed \(seed)")
            #expect(try await rig.engine.answer(to: query) == (expected, true), "seed \(seed)")
        }
    }

    private func event(_ id: String, _ time: Timestamp, user: String = "ann") -> Event {
        var event = sample(id, at: time)
        event.userId = user
        return event
    }

    @Test func whatComesLaterLongBeforeTheRangeChangesWhoIsNew() async throws {
        let store = MemoryStore()
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        let day = BucketCalendar(interval: .day, rules: .utc)
        let query = LifecycleQuery(
            Selection(project: Project.default),
            starts: [day.start(1, before: day.start(of: noon)), day.start(of: noon), day.next(after: noon)])
        try await write([event("1", noon)], to: store)
        #expect(try await engine.answer(to: query).answer.users(.new) == [1])
        #expect(try await engine.answer(to: query).cached)
        try await write([event("2", noon - .seconds(90 * 86_400))], to: store)
        #expect(try await engine.answer(to: query).answer.users(.resurrecting) == [1])
        // What is deleted is not stored: the first event is that of the range again.
        try await store.raiseWatermark(of: Project.default, to: noon - .seconds(5 * 86_400))
        #expect(try await engine.answer(to: query).answer.users(.new) == [1])
        // Of the bucket before nothing may be missing.
        try await store.raiseWatermark(of: Project.default, to: noon - .seconds(86_400))
        await #expect(throws: ExpiredRangeError.self) { try await engine.answer(to: query) }
    }

    // MARK: Stickiness

    private func stickiness(_ rig: HistoryRig, _ random: inout Seeded) throws -> (StickinessQuery, [BytewiseString: Int], Selection) {
        let selection = rig.selection(&random, types: Self.types)
        let starts = try #require(try calendar(&random, [.hour, .day, .week]).starts(in: selection.from!..<selection.to!, limit: 1_000))
        var counts: [BytewiseString: Int] = [:]
        for user in rig.users(selection) {
            let own = user.filter { range(selection).contains($0.time) }
            if own.isEmpty { continue }
            counts[own[0].user!] = Set(own.map { fact in starts.lastIndex { $0.milliseconds <= fact.time }! }).count
        }
        return (StickinessQuery(selection, starts: starts), counts, selection)
    }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func stickinessIsThatOfTheEvents(seed: UInt64) async throws {
        var random = Seeded(seed)
        let rig = try await rig(&random)
        for _ in 0..<8 {
            let (query, counts, _) = try stickiness(rig, &random)
            let expected = Stickiness(exactly: query.starts.indices.map { index in Int64(counts.values.count { $0 == index + 1 }) })
            let answer = try await rig.engine.answer(to: query).answer
            #expect(answer == expected, "seed \(seed)")
            #expect(answer.users == Int64(counts.count))
            #expect(answer.atLeast == query.starts.indices.map { index in Int64(counts.values.count { $0 > index }) })
            #expect(try await rig.engine.answer(to: query) == (expected, true), "seed \(seed)")
        }
    }

    // MARK: Paths

    /// Each path with its user.
    private func paths(_ query: PathsQuery, _ rig: HistoryRig) -> [(user: BytewiseString, keys: [GroupKey])] {
        let range = range(query.selection)
        func name(_ fact: HistoryEvent) -> GroupKey { query.dimension == .type ? GroupKey(fact.type) : Self.key(fact) }
        func path(_ events: [HistoryEvent], _ origin: HistoryEvent) -> [GroupKey] {
            // Mirrored, what comes before comes after.
            let sign: Int64 = query.isBackward ? -1 : 1
            let ahead = events.filter { ($0.time - origin.time) * sign >= 0 }
            let ordered = ahead.sorted { a, b in
                if a.time != b.time { return query.isBackward ? a.time > b.time : a.time < b.time }
                return query.isBackward ? name(b) < name(a) : name(a) < name(b)
            }
            let first = ordered.firstIndex { $0.time == origin.time && query.origins.contains($0.type) }!
            var rest = ordered
            rest.remove(at: first)
            return Array(([name(ordered[first])] + rest.map(name).filter { $0 != .null }).prefix(query.steps + 1))
        }
        switch query.scope {
        case .session(let minutes):
            let selected = rig.users(query.selection).flatMap(\.self)
            return HistoryRig.sessions(selected, gap: Int64(minutes) * Self.minute, range).compactMap { session in
                let origins = session.filter { query.origins.contains($0.type) }
                return (query.isBackward ? origins.last : origins.first).map { (session[0].user!, path(session, $0)) }
            }
        case .window(let seconds):
            return rig.users(query.selection).compactMap { events in
                let origins = events.filter { query.origins.contains($0.type) && range.contains($0.time) }
                guard let origin = query.isBackward ? origins.last : origins.first else { return nil }
                return (origin.user!, path(events.filter { abs($0.time - origin.time) <= Int64(seconds) * 1_000 }, origin))
            }
        }
    }

    private static func count(_ users: [BytewiseString]) -> Paths.Count {
        Paths.Count(paths: Int64(users.count), users: Int64(Set(users).count))
    }

    private static func answer(_ paths: [(user: BytewiseString, keys: [GroupKey])], _ query: PathsQuery) -> Paths {
        Paths(
            steps: (0...query.steps).map { number in
                let own = paths.filter { $0.keys.count > number }
                var step = Paths.Step(count: count(own.map(\.user)))
                let nodes = Dictionary(grouping: own) { $0.keys[number] }.map { Paths.Node(key: $0, count: count($1.map(\.user))) }
                    .sorted { ($1.count.paths, $0.key) < ($0.count.paths, $1.key) }
                step.nodes = Array(nodes.prefix(query.limit))
                step.otherNodes = nodes.dropFirst(query.limit).reduce(0) { $0 + $1.count.paths }
                guard number > 0 else { return step }
                let pairs = Dictionary(grouping: own) { path in
                    query.isBackward ? [path.keys[number], path.keys[number - 1]] : [path.keys[number - 1], path.keys[number]]
                }
                let edges = pairs.map { Paths.Edge(from: $0[0], to: $0[1], count: count($1.map(\.user))) }
                    .sorted { ($1.count.paths, $0.from, $0.to) < ($0.count.paths, $1.from, $1.to) }
                step.edges = Array(edges.prefix(query.limit))
                step.otherEdges = edges.dropFirst(query.limit).reduce(0) { $0 + $1.count.paths }
                return step
            })
    }

    private func pathsQuery(_ rig: HistoryRig, _ random: inout Seeded) -> PathsQuery {
        PathsQuery(
            rig.selection(&random, types: Self.types), from: random.chance(70) ? ["t\(random.below(3))"] : ["t0", "t1"],
            isBackward: random.chance(50), steps: 1 + random.below(5), by: random.chance(50) ? .type : Dimension("data.page")!,
            limit: 1 + random.below(4),
            within: random.chance(50)
                ? .session(gapMinutes: [1, 29, 30, 31, 1_440].randomElement(using: &random)!)
                : .window(seconds: [1, 60, 1_800, 86_400, 500_000].randomElement(using: &random)!))
    }

    @Test(arguments: 0..<24 as Range<UInt64>)
    func pathsAreThoseOfTheEvents(seed: UInt64) async throws {
        var random = Seeded(seed)
        let rig = try await rig(&random)
        for _ in 0..<12 {
            let query = pathsQuery(rig, &random)
            let expected = Self.answer(paths(query, rig), query)
            #expect(try await rig.engine.answer(to: query).answer == expected, "seed \(seed)")
            #expect(try await rig.engine.answer(to: query) == (expected, true), "seed \(seed)")
            #expect(try PathsCodec.decode(PathsCodec.encode(expected)) == expected)
        }
    }

    @Test func aUserWithTooManyEventsForPathsIsRefused() throws {
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(60))
        for scope in [PathsQuery.Scope.session(gapMinutes: 30), .window(seconds: 60)] {
            var tally = PathsTally(PathsQuery(selection, from: ["a"], within: scope), noon..<noon + .seconds(60))
            let rows = EventRows(
                day: noon.day, actors: [ActorKey(.user, "ann")], starts: [0, 1_000], times: Array(repeating: 0, count: 1_000),
                columns: Array(repeating: .empty, count: 3), names: nil)
            try tally.load(rows, slot: 0)
            tally.begin(isUser: true)
            for _ in 0..<4_300 { tally.add(slot: 0, 0..<1_000) }
            tally.end()
            #expect(throws: QueryTooLargeError.self) { try tally.check() }
        }
    }

    @Test func whatLiesBeyondTheRangeChangesACachedPath() async throws {
        for (scope, isBackward) in [
            (PathsQuery.Scope.session(gapMinutes: 1_440), false), (.window(seconds: 3 * 86_400), false),
            (.window(seconds: 3 * 86_400), true),
        ] {
            let store = MemoryStore()
            let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
            let query = PathsQuery(
                Selection(project: Project.default, from: noon, to: noon + .seconds(60)), from: ["view"], isBackward: isBackward,
                within: scope)
            try await write([event("1", noon)], to: store)
            #expect(try await engine.answer(to: query).answer.steps.map(\.count.paths) == [1, 0, 0, 0, 0, 0])
            #expect(try await engine.answer(to: query).cached)
            try await write([event("2", isBackward ? noon - .seconds(2 * 86_400) : noon + .seconds(86_400))], to: store)
            #expect(try await engine.answer(to: query).answer.steps.map(\.count.paths) == [1, 1, 0, 0, 0, 0])
        }
    }

    // MARK: People

    /// All pages, of so many each.
    private func people<Base: PeopleQuestion>(
        _ base: Base, _ cell: Base.Reducer.Cell, _ range: Range<Timestamp>, _ limit: Int, _ engine: QueryEngine
    ) async throws -> (total: Int64, people: [People.Person]) {
        var (found, page): ([People.Person], PeoplePage) = ([], PeoplePage(limit: limit))
        while true {
            let query = PeopleQuery(base: base, cell: cell, range: range, page: page)
            let answer = try await engine.answer(to: query).answer
            #expect(answer.people.count <= limit && answer.hasMore == (answer.next != nil))
            #expect(try PeopleCodec.decode(PeopleCodec.encode(answer)) == answer && query.accepts(answer))
            found += answer.people
            guard let next = answer.next else { return (answer.total, found) }
            #expect(answer.people.count == limit && PeopleCursor(next.text) == next)
            page.after = next
        }
    }

    private func expect<Base: PeopleQuestion>(
        _ base: Base, _ cell: Base.Reducer.Cell, are users: Set<BytewiseString>, _ selection: Selection, _ rig: HistoryRig,
        _ random: inout Seeded,
        _ comment: Comment
    ) async throws {
        let range = selection.from!..<selection.to!
        let (total, people) = try await people(base, cell, range, 1 + random.below(4), rig.engine)
        #expect(total == Int64(users.count), comment)
        func name(_ person: People.Person) -> BytewiseString {
            BytewiseString("\(person.kind == .userId ? "known" : "anonymous") \(person.id)")
        }
        #expect(Set(people.map(name)) == users && people.count == users.count, comment)
        #expect(zip(people, people.dropFirst()).allSatisfy { $0.key < $1.key }, comment)
        let events = Dictionary(rig.users(selection).map { ($0[0].user!, $0) }) { first, _ in first }
        for person in people {
            let times = (events[name(person)] ?? []).map(\.time).filter(self.range(selection).contains)
            #expect(person.events == Int64(times.count), comment)
            #expect(person.first?.milliseconds == times.min() && person.last?.milliseconds == times.max(), comment)
        }
    }

    @Test(arguments: 0..<16 as Range<UInt64>)
    func peopleAreThoseWhoAreCounted(seed: UInt64) async throws {
        var random = Seeded(seed)
        let rig = try await rig(&random)
        for _ in 0..<4 {
            let (query, users, selection) = try lifecycle(rig, &random)
            let bucket = random.below(query.buckets)
            for state in Lifecycle.State.allCases {
                try await expect(
                    query, LifecycleCell(bucket: bucket, state: state), are: users[state.index][bucket], selection, rig, &random,
                    "seed \(seed), \(state)")
            }

            let (sticky, counts, own) = try stickiness(rig, &random)
            let count = 1 + random.below(min(3, sticky.starts.count))
            for isAtLeast in [false, true] {
                let wanted = counts.filter { isAtLeast ? $0.value >= count : $0.value == count }.keys
                try await expect(
                    sticky, StickinessCell(count: count, isAtLeast: isAtLeast), are: Set(wanted), own, rig, &random,
                    "seed \(seed), \(count)")
            }
            let uniques = TimeseriesQuery(own, metric: .users, starts: sticky.starts)
            try await expect(
                RowTimeseries(query: uniques), UniquesCell(bucket: nil), are: Set(counts.keys), own, rig, &random, "seed \(seed), uniques")

            let pathsQuery = pathsQuery(rig, &random)
            let paths = paths(pathsQuery, rig)
            let step = random.below(pathsQuery.steps + 1)
            let there = paths.filter { $0.keys.count > step }
            func expectPaths(_ what: PathsCell.What, _ users: [BytewiseString]) async throws {
                try await expect(
                    pathsQuery, PathsCell(step: step, what), are: Set(users), pathsQuery.selection, rig, &random, "seed \(seed), \(what)")
            }
            try await expectPaths(.step, there.map(\.user))
            if let one = there.randomElement(using: &random) {
                let key = one.keys[step]
                try await expectPaths(.node(key), there.filter { $0.keys[step] == key }.map(\.user))
                if step > 0 {
                    let before = one.keys[step - 1]
                    let edge: PathsCell.What = pathsQuery.isBackward ? .edge(from: key, to: before) : .edge(from: before, to: key)
                    try await expectPaths(edge, there.filter { $0.keys[step] == key && $0.keys[step - 1] == before }.map(\.user))
                }
            }
            try await expectFunnel(rig, &random, "seed \(seed), funnel")
            try await expectRetention(rig, &random, "seed \(seed), retention")
        }
    }

    private func expectFunnel(_ rig: HistoryRig, _ random: inout Seeded, _ comment: Comment) async throws {
        let selection = rig.selection(&random, types: Self.types)
        let query = FunnelQuery(
            selection, steps: [EventPattern(types: ["t0"]), EventPattern(types: ["t2"]), EventPattern(types: ["t1"])], windowSeconds: 90_000
        )
        var reached: [BytewiseString: Int] = [:]
        for user in rig.users(selection) {
            var events = user.map { fact in
                FunnelEvent(
                    time: fact.time, steps: fact.type == "t0" ? 1 : fact.type == "t2" ? 2 : fact.type == "t1" ? 4 : 0, exclusions: 0,
                    mark: 0)
            }
            var walk = FunnelWalk(steps: 3, window: 90_000_000, order: .ordered, range: range(selection))
            if walk.walk(&events) { reached[user[0].user!] = walk.times.count }
        }
        for step in 1...3 {
            try await expect(
                query, FunnelCell(step: step, isDropped: false), are: Set(reached.filter { $0.value >= step }.keys), selection, rig,
                &random,
                comment)
            guard step > 1 else { continue }
            try await expect(
                query, FunnelCell(step: step, isDropped: true), are: Set(reached.filter { $0.value == step - 1 }.keys), selection, rig,
                &random, comment)
        }
    }

    private func expectRetention(_ rig: HistoryRig, _ random: inout Seeded, _ comment: Comment) async throws {
        let selection = rig.selection(&random, types: [])
        let day = BucketCalendar(interval: .day, rules: .utc)
        var starts = try #require(day.starts(in: selection.from!..<selection.to!, limit: 100))
        let cohort = random.below(starts.count)
        for _ in 0..<3 { starts.append(day.next(after: starts.last!)) }
        let query = RetentionQuery(
            selection, first: EventPattern(types: ["t0"]), firstEver: false, returning: EventPattern(types: ["t1"]), mode: .on, periods: 3,
            starts: starts)
        func isThere(_ user: [HistoryEvent], _ type: String, _ bucket: Int) -> Bool {
            user.contains {
                $0.type == type && $0.time >= starts[bucket].milliseconds && $0.time < starts[bucket + 1].milliseconds
                    && (type == "t1" || range(selection).contains($0.time))
            }
        }
        let users = rig.users(selection).filter { isThere($0, "t0", cohort) }
        let back = users.filter { isThere($0, "t1", cohort + 1) }
        func names(_ users: [[HistoryEvent]]) -> Set<BytewiseString> { Set(users.map { $0[0].user! }) }
        for (cell, expected) in [
            (RetentionCell(cohort: cohort, period: nil, isDropped: false), names(users)),
            (RetentionCell(cohort: cohort, period: 1, isDropped: false), names(back)),
            (RetentionCell(cohort: cohort, period: 1, isDropped: true), names(users).subtracting(names(back))),
        ] {
            try await expect(query, cell, are: expected, selection, rig, &random, comment)
        }
    }

    // MARK: One user

    @Test(arguments: 0..<12 as Range<UInt64>)
    func aUserIsWhatItsEventsTell(seed: UInt64) async throws {
        var random = Seeded(seed)
        let rig = try await rig(&random)
        let reader = EventReader(store: rig.store, gate: QueryGate())
        let selection = Selection(project: Project.default)
        let age = AnswerAge(now: noon, limit: .zero)
        for id in ["ann", "bob", "é", "e\u{301}", "d1", "d2", "nobody"] {
            for reference in [UserReference.userId(id), .anonymousId(id)] {
                let (user, answered) = try await rig.engine.user(reference, selection, age, for: .staying)
                let name: String
                switch user {
                case .userId(let id): name = "known \(id)"
                case .anonymousId(let id): name = "anonymous \(id)"
                }
                let own = rig.facts.filter { $0.user == BytewiseString(name) }.sorted { $0.time < $1.time }
                let profile = answered.answer
                #expect(profile.events == Int64(own.count), "seed \(seed), \(reference)")
                #expect(try UserProfileCodec.decode(UserProfileCodec.encode(profile)) == profile)
                guard !own.isEmpty else { continue }
                #expect(profile.first.milliseconds == own[0].time && profile.last.milliseconds == own.last!.time)
                let types = Dictionary(grouping: own, by: \.type).map { UserProfile.TypeCount(type: $0, events: Int64($1.count)) }
                    .sorted { ($1.events, $0.type) < ($0.events, $1.type) }
                #expect(profile.types == types && profile.otherTypes == 0)
                let everything = HistoryRig.sessions(own, gap: 30 * Self.minute, .min ..< .max)
                #expect(profile.sessions == Int64(everything.count), "seed \(seed), \(reference)")
                let ids = try await reader.anonymousIds(of: user, rig.engine, Project.default, for: .staying)
                for limit in [1, 3, 100] {
                    let newest = try await reader.newest(limit, of: user, ids, selection, profile, for: .staying) { _ in }
                    #expect(
                        newest.map(\.event.timestamp.milliseconds) == own.reversed().prefix(limit).map(\.time), "seed \(seed), \(reference)"
                    )
                }
                // An anonymous id that belongs to somebody is not a user of its own.
                if case .anonymousId(let id) = reference, case .userId(let owner) = user {
                    #expect(ids.contains { $0.utf8.elementsEqual(id.utf8) } && name == "known \(owner)")
                }
            }
        }
    }

    @Test func eventsOfOthersOnASharedDeviceAreNotLookedThrough() async throws {
        let store = MemoryStore()
        let day = Duration.seconds(86_400)
        func event(_ id: String, _ type: String, _ user: String?, _ device: String?, at time: Timestamp) -> Event {
            var event = sample(id, type: type, at: time)
            (event.userId, event.anonymousId) = (user, device)
            return event
        }
        var events = [
            event("link", "$identify", "ann", "d", at: noon - day * 20), event("first", "view", nil, "d", at: noon - day * 10),
            event("own", "view", "ann", nil, at: noon - day * 5), event("last", "view", nil, "d", at: noon),
        ]
        events += (0..<5_000).map { event("other \($0)", "view", "bob", "d", at: noon - day * 9 + .seconds($0)) }
        // More ids than are told, and the newest event is of the last of them.
        let devices = (0...EventReader.anonymousIdLimit).map { "e\(10_000 + $0)" }
        events += devices.map { event("link \($0)", "$identify", "ann", $0, at: noon - day * 30) }
        events.append(event("of the last", "view", nil, devices.last, at: noon + .seconds(5)))
        try await write(events, to: store)
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        let reader = EventReader(store: store, gate: QueryGate())
        let selection = Selection(project: Project.default)
        let (user, answered) = try await engine.user(.userId("ann"), selection, AnswerAge(now: noon, limit: .zero), for: .staying)
        let ids = try await reader.anonymousIds(of: user, engine, Project.default, for: .staying)
        #expect(ids.count == devices.count + 1)
        let reads = Counting()
        let held = Mutex(0)
        store.beforeRead { if $0 == "events" { _ = reads.next() } }
        let newest = try await reader.newest(5, of: user, ids, selection, answered.answer, for: .staying) { bytes in
            held.withLock { $0 = bytes }
        }
        #expect(newest.map(\.event.id) == ["of the last", "last", "own", "first", "link"])
        #expect((1...6).contains(reads.value))
        #expect(held.withLock { $0 } >= newest.reduce(0) { $0 + $1.size }, "all that is held is told")
    }

    // MARK: Cached answers

    private func refuses<Codec: AnswerCodec>(
        _ codec: Codec.Type, _ answer: Codec.Answer, _ changes: [(inout Codec.Answer) -> Void]
    ) where Codec.Answer: Equatable {
        let bytes = Codec.encode(answer)
        #expect((try? Codec.decode(bytes)) == answer)
        for length in bytes.indices { #expect(throws: AnswerFault.self) { try Codec.decode(Array(bytes.prefix(length))) } }
        #expect(throws: AnswerFault.unknownFormat) { try Codec.decode([2] + bytes.dropFirst()) }
        #expect(throws: AnswerFault.damaged) { try Codec.decode(bytes + [0]) }
        for change in changes {
            var wrong = answer
            change(&wrong)
            #expect(throws: AnswerFault.damaged) { try Codec.decode(Codec.encode(wrong)) }
        }
    }

    @Test func cachedAnswersAreReadAgainOrRefused() throws {
        refuses(
            LifecycleCodec.self, Lifecycle(users: [[2, 1], [0, 1], [1, 0], [0, 2]]), [{ $0.users[1][1] = 2 }, { $0.users[3][1] = 0 }])
        refuses(StickinessCodec.self, Stickiness(exactly: [3, 0, 1]), [])
        let count = Paths.Count(paths: 3, users: 2)
        let steps = [
            Paths.Step(count: count, nodes: [.init(key: GroupKey("a"), count: count)]),
            Paths.Step(
                count: count, nodes: [.init(key: .null, count: .init(paths: 2, users: 2))], otherNodes: 1,
                edges: [.init(from: GroupKey("a"), to: .boolean(true), count: .init(paths: 1, users: 1))], otherEdges: 2),
        ]
        refuses(
            PathsCodec.self, Paths(steps: steps),
            [
                { $0.steps[0].count.paths = 4 }, { $0.steps[1].otherNodes = 2 }, { $0.steps[1].otherEdges = 0 },
                { $0.steps[0].nodes[0].count.users = 4 }, { $0.steps[0].count.users = 0 }, { $0.steps.reverse() },
            ])
        var people = ["ann", "bob"].map { People.Person(ActorName(.user, $0)) }.sorted { $0.key < $1.key }
        (people[0].events, people[0].first, people[0].last) = (2, noon, noon + .seconds(1))
        refuses(
            PeopleCodec.self, People(total: 3, people: people, hasMore: true),
            [{ $0.people.reverse() }, { $0.people[0].last = noon - .seconds(1) }, { $0.people[1] = $0.people[0] }, { $0.people = [] }])
        let profile = UserProfile(
            first: noon, last: noon, events: 3, sessions: 1, types: [.init(type: "a", events: 2)], otherTypes: 1,
            newest: [noon, noon, noon])
        refuses(
            UserProfileCodec.self, profile,
            [
                { $0.sessions = 0 }, { $0.otherTypes = 0 }, { $0.last = noon - .seconds(1) }, { $0.sessions = 4 }, { $0.events = 2 },
                { $0.newest.removeLast() }, { $0.newest[0] = noon + .seconds(1) },
            ])
    }

    @Test func aCursorIsReadAsItWasWritten() {
        let cursor = PeopleCursor(key: ActorKey(high: 1, low: .max))
        #expect(cursor.text == "10000000000000001ffffffffffffffff" && PeopleCursor(cursor.text) == cursor)
        for wrong in [
            "", "1", cursor.text + "0", "2" + cursor.text.dropFirst(), cursor.text.replacing("f", with: "F"),
            "1+" + cursor.text.dropFirst(2),
        ] {
            #expect(PeopleCursor(wrong) == nil)
        }
    }

    @Test func questionsThatDifferHaveDifferentKeys() throws {
        let selection = Selection(project: Project.default, from: noon, to: noon + .seconds(60))
        let base = PathsQuery(selection, from: ["a"])
        var paths = [base]
        for change in [
            { $0.origins = ["b"] }, { $0.origins = ["a", "b"] }, { $0.isBackward = true }, { $0.steps = 1 }, { $0.dimension = .source },
            { $0.limit = 1 }, { $0.scope = .session(gapMinutes: 1) }, { $0.scope = .window(seconds: 1) },
        ] as [(inout PathsQuery) -> Void] {
            var other = base
            change(&other)
            paths.append(other)
        }
        #expect(Set(paths.map(\.keyParts)).count == paths.count)
        func key(_ cell: PathsCell, after: PeopleCursor? = nil, limit: Int = 1, to: Timestamp = noon + .seconds(1)) -> [String] {
            PeopleQuery(base: base, cell: cell, range: noon..<to, page: PeoplePage(after: after, limit: limit)).keyParts
        }
        let step = PathsCell(step: 1, .step)
        let keys = [
            key(step), key(PathsCell(step: 2, .step)), key(PathsCell(step: 1, .node(.null))), key(PathsCell(step: 1, .node(GroupKey("a")))),
            key(PathsCell(step: 1, .edge(from: .null, to: .null))), key(step, after: PeopleCursor(key: .none)), key(step, limit: 2),
            key(step, to: noon + .seconds(2)),
        ]
        #expect(Set(keys).count == keys.count)
        let cells: [[String]] = [
            FunnelCell(step: 1, isDropped: false).keyParts, FunnelCell(step: 2, isDropped: false).keyParts,
            FunnelCell(step: 2, isDropped: true).keyParts,
        ]
        #expect(Set(cells).count == 3)
        #expect(
            RetentionCell(cohort: 0, period: nil, isDropped: false).keyParts
                != RetentionCell(cohort: 0, period: 0, isDropped: false).keyParts)
        #expect(StickinessCell(count: 1, isAtLeast: true).keyParts != StickinessCell(count: 1, isAtLeast: false).keyParts)
        #expect(UniquesCell(bucket: nil).keyParts != UniquesCell(bucket: 0).keyParts)
    }
}
