import GRDB
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsEmbedded
@testable import AnalyticsMongoDB

@Suite("Store contract: usage by the time of receipt", .timeLimit(.minutes(5)))
struct StoreContractUsage {
    private static let day: Int64 = 86_400_000

    private static func event(
        _ id: String, at time: Timestamp, received: Timestamp, type: String = "view", source: String = "web", ingestID: String? = nil,
        isBot: Bool = false
    ) -> StoredEvent {
        var event = stored(id, type: type, source: source, at: time, ingestID: ingestID, isBot: isBot)
        event.event.receivedAt = received
        return event
    }

    // MARK: Counting

    private struct Rows: CountReducer {
        let isByReceipt = true
        var limit = Int.max
        var rows: [EventCount] = []

        mutating func add(_ row: EventCount) -> Bool {
            rows.append(row)
            return rows.count < limit
        }

        mutating func finish() {}
    }

    /// The rows in the order of a store.
    private static func rows(_ events: [StoredEvent]) -> [EventCount] {
        struct Key: Hashable {
            var minute: Int64
            var type: BytewiseString
            var source: BytewiseString
            var received: Int64
        }
        var counts: [Key: (events: Int64, bots: Int64)] = [:]
        for stored in events {
            let event = stored.event
            let key = Key(
                minute: event.timestamp.minute, type: BytewiseString(event.type), source: BytewiseString(event.source),
                received: event.receivedAt.day)
            counts[key, default: (0, 0)].events += 1
            if stored.isBot { counts[key, default: (0, 0)].bots += 1 }
        }
        return counts.sorted { a, b in
            (a.key.minute, a.key.type, a.key.source, a.key.received) < (b.key.minute, b.key.type, b.key.source, b.key.received)
        }.map { key, sums in
            EventCount(
                minute: key.minute, type: key.type.text, source: key.source.text, count: sums.events, bots: sums.bots,
                received: key.received)
        }
    }

    @Test("events are counted by the day of their receipt too, where that is asked for", arguments: StoreBackend.available)
    func counting(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            var random = Seeded(7)
            // Around midnight and around 1970, in groups of one day and of several.
            let days = [noon.milliseconds + Self.day / 2, 0, -3 * Self.day]
            let events = (0..<400).map { index -> StoredEvent in
                let base = days.randomElement(using: &random)!
                let delay = random.chance(70) ? 0 : Int64(random.below(4)) * Self.day - Int64(random.below(2))
                let time = Timestamp(milliseconds: base + Int64(random.below(400)) * 1_000 - 200_000)
                return Self.event(
                    "\(index)", at: time, received: time + .milliseconds(delay),
                    type: ["a", "e\u{301}", "é"].randomElement(using: &random)!,
                    source: "s\(random.below(2))", isBot: random.chance(20))
            }
            try await store.add(events)
            func expect(_ ranges: [Range<Timestamp>]) async throws {
                let selected = events.filter { event in ranges.contains { $0.contains(event.event.timestamp) } }
                let found = try await store.countEvents(Selection(project: "p"), in: ranges, into: Rows()).rows
                #expect(found == Self.rows(selected), "\(ranges)")
            }
            let start = Timestamp(milliseconds: days[0])
            // Grouped by MongoDB, and read one by one; whole minutes, and parts of them.
            try await expect([start - .seconds(120)..<start + .seconds(120)])
            try await expect([.earliest..<Timestamp.latest])
            try await expect((0..<20).map { start + .seconds($0 * 17 - 150)..<start + .seconds($0 * 17 - 140) })
            var human = Selection(project: "p", types: ["a", "é"])
            human.includesBots = false
            let found = try await store.countEvents(human, in: [.earliest..<Timestamp.latest], into: Rows()).rows
            #expect(found == Self.rows(events.filter { !$0.isBot && !$0.event.type.utf8.elementsEqual("e\u{301}".utf8) }))
            let first = try await store.countEvents(Selection(project: "p"), in: [.earliest..<Timestamp.latest], into: Rows(limit: 3)).rows
            #expect(first == Array(Self.rows(events).prefix(3)))
            let plain = try await store.countEvents(Selection(project: "p"), in: [.earliest..<Timestamp.latest], into: FirstRows(.max)).rows
            #expect(plain.allSatisfy { $0.received == nil } && plain.reduce(0) { $0 + $1.count } == 400)
        }
    }

    // MARK: Tables

    private static func table(_ days: [(Int64, Int64)]) -> ReceivedTable? {
        var sums = ReceivedSums()
        for (day, events) in days { sums.add(events, on: day) }
        return sums.table
    }

    private func received(_ store: any Store, _ tier: RollupTier, _ index: Int64, _ content: BucketContent = .all) async throws -> Rollup? {
        try await store.rollups(tier, project: "p", in: [index..<index + 1], byteLimit: .max, content: content).rollups.first
    }

    @Test("a mark and a roll bring tables of receipt, which are read only where they are asked for", arguments: StoreBackend.available)
    func tables(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let groups = GroupTable([RollupGroup(type: "a", source: "s", count: 3)])
            let (one, other) = (Self.table([(7, 1), (9, 2)]), Self.table([(noon.day, 3)]))
            try await store.mark(
                .minute,
                [
                    BucketMark(key: key(1), table: groups, received: one, events: 3), BucketMark(key: key(2)),
                    BucketMark(key: key(3), table: groups),
                ])
            var expected = Rollup(key: key(1), version: 1, done: 1, dirty: false, table: groups, received: one)
            #expect(try await received(store, .minute, 1) == expected)
            expected.table = .overflow
            #expect(try await received(store, .minute, 1, .received) == expected)
            (expected.table, expected.received) = (groups, nil)
            #expect(try await received(store, .minute, 1, .groups) == expected)
            #expect(try await received(store, .minute, 2)?.received == nil, "not counted yet")
            #expect(try await received(store, .minute, 3)?.received == nil)
            #expect(try await received(store, .minute, 3, .received)?.received == nil)

            // A further mark changes none; rolls with and without a journal write theirs.
            try await store.mark(.minute, [BucketMark(key: key(1), table: groups, received: other, events: 3, causes: .late)])
            #expect(try await received(store, .minute, 1)?.received == one)
            let rolled = RolledBucket(key: key(1), version: 2, table: groups, received: other, events: 3, at: noon)
            #expect(try await store.roll(.minute, [rolled]) == 1)
            #expect(try await received(store, .minute, 1)?.received == other)
            #expect(try await store.roll(.minute, [RolledBucket(key: key(1), version: 2, table: groups, received: one)]) == 0)
            #expect(try await received(store, .minute, 1)?.received == other)
            for tier in [RollupTier.hour, .day] {
                try await store.mark(tier, [key(4)])
                let version = try #require(try await received(store, tier, 4)?.version)
                #expect(try await store.roll(tier, [RolledBucket(key: key(4), version: version, table: .overflow, received: one)]) == 1)
                let expected = Rollup(key: key(4), version: version, done: version, dirty: false, table: .overflow, received: one)
                #expect(try await received(store, tier, 4) == expected)
                #expect(try await received(store, tier, 4, .received) == expected)
                try await store.mark(tier, [key(4)])
                #expect(try await store.roll(tier, [RolledBucket(key: key(4), version: version + 1, table: groups)]) == 1)
                #expect(try await received(store, tier, 4)?.received == nil)
            }
        }
    }

    @Test("a table of receipt is filled in where there is none, for the version that was read", arguments: StoreBackend.available)
    func filling(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let groups = GroupTable([RollupGroup(type: "a", source: "s", count: 3)])
            let (one, other) = (Self.table([(7, 3)]), Self.table([(8, 3)]))
            for tier in RollupTier.allCases {
                try await store.mark(
                    tier, [BucketMark(key: key(1), table: groups), BucketMark(key: key(2), table: groups, received: other)])
                var buckets: [Rollup] = []
                for index in 1...2 as ClosedRange<Int64> {
                    var bucket = try #require(try await received(store, tier, index))
                    bucket.received = one
                    bucket.table = .empty
                    buckets.append(bucket)
                }
                var (older, unknown) = (buckets[0], buckets[0])
                older.done -= 1
                unknown.received = nil
                try await store.fillReceived(tier, [older, unknown])
                try await store.fillReceived(tier, [])
                #expect(try await received(store, tier, 1)?.received == nil, "of another version")
                try await store.mark(tier, [key(1)])
                try await store.fillReceived(tier, buckets)
                let filled = try await received(store, tier, 1)
                #expect(filled?.received == one && filled?.table == groups && filled?.dirty == true && filled?.done == buckets[0].done)
                #expect(filled?.version == buckets[0].version + 1)
                #expect(try await received(store, tier, 2)?.received == other, "one that is there stays")
                buckets[0].received = other
                try await store.fillReceived(tier, [buckets[0]])
                #expect(try await received(store, tier, 1)?.received == one)
            }
        }
    }

    @Test(
        "a table of receipt is not read beside groups that an earlier version counted since",
        arguments: StoreBackend.available.filter { $0 != .memory })
    func mixed(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let groups = GroupTable([RollupGroup(type: "a", source: "s", count: 3)])
            let (one, other) = (Self.table([(7, 3)]), Self.table([(8, 3)]))
            for tier in RollupTier.allCases {
                try await store.mark(tier, [BucketMark(key: key(1), table: groups, received: one)])
                #expect(try await received(store, tier, 1)?.received == one)
            }
            if let store = store as? SQLiteStore {
                try await store.write(.prepare) { try $0.execute(sql: "UPDATE buckets SET version = version + 1, done = done + 1") }
            } else if let store = store as? MongoStore {
                try await store.run(.prepare) { session throws(StoreError) in
                    for collection in [CollectionName.minutes, .hours, .days] {
                        let update: BSON = ["q": [:], "u": ["$inc": ["v": 1, "done": 1]], "multi": true]
                        try session.command([("update", .string(collection.rawValue)), ("updates", [update])], writes: true) { _ in }
                    }
                }
            }
            for tier in RollupTier.allCases {
                for content in [BucketContent.all, .received] {
                    #expect(try await received(store, tier, 1, content)?.received == nil)
                }
                var bucket = try #require(try await received(store, tier, 1))
                bucket.received = other
                try await store.fillReceived(tier, [bucket])
                #expect(try await received(store, tier, 1)?.received == other)
            }
        }
    }

    @Test(
        "MongoDB: an event without a readable time of receipt is counted, and stops nothing",
        .enabled(if: StoreBackend.available.contains(.mongodb)))
    func unreadable() async throws {
        try await withStore(.mongodb) { store async throws in
            let mongo = try #require(store as? MongoStore)
            let events = (0..<6).map { Self.event("e\($0)", at: noon + .seconds($0 * 30), received: noon + .seconds(86_400)) }
            var marks = BucketMarks()
            for (event, outcome) in zip(events, try await store.insert(events)) { marks.touch(event, outcome) }
            for event in events { marks.touch(BucketKey(project: "p", index: event.event.timestamp.minute)) }
            try await marks.write(to: store)
            try await mongo.run(.prepare) { session throws(StoreError) in
                let updates: [BSON] = [
                    ["q": ["_id.id": "e0"], "u": ["$unset": ["receivedAt": ""]]],
                    ["q": ["_id.id": "e1"], "u": ["$set": ["receivedAt": "x"]]],
                ]
                try session.command([("update", "events"), ("updates", .array(updates))], writes: true) { _ in }
            }
            for ranges in [[noon..<noon + .seconds(180)], [Timestamp.earliest..<Timestamp.latest]] {
                let rows = try await store.countEvents(Selection(project: "p"), in: ranges, into: Rows()).rows
                #expect(rows.map(\.received) == [nil, noon.day + 1, noon.day + 1] && rows.map(\.count) == [2, 2, 2])
            }
            for isRolled in [false, true] {
                if isRolled { try await Roller(store: store, logger: quiet).finish() }
                #expect(try await Self.usage(store) == ["2026-03-01": 2, "2026-03-02": 4])
            }
            let minutes = try await store.rollups(
                .minute, project: "p", in: [RollupTier.minute.allIndexes], byteLimit: .max, content: .all
            ).rollups
            #expect(minutes.map(\.dirty) == [false, false, false] && minutes.map { $0.received == nil } == [true, false, false])
        }
    }

    // MARK: Usage

    /// By date, and what the parts of the answer say of each other.
    static func usage(
        _ store: any Store, from: Timestamp = noon - .seconds(3_000 * 86_400), to: Timestamp = noon + .seconds(400 * 86_400),
        of project: ProjectID = "p"
    ) async throws -> [String: Int64] {
        let (from, to) = (CivilMonth(of: from), CivilMonth(of: to))
        let query = try #require(UsageQuery(project: project, from: from, to: to, at: noon))
        let usage = try await QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate()).usage(query)
        #expect(usage.months.first?.month == from && usage.months.last?.month == to)
        #expect(usage.total == usage.months.reduce(0) { $0 + $1.events })
        for month in usage.months {
            #expect(month.events == month.days.reduce(0) { $0 + $1.events } && month.days.allSatisfy { $0.events > 0 })
            #expect(month.days.allSatisfy { Timestamp(day: $0.day).date.starts(withUTF8: month.month.text) })
        }
        return Dictionary(uniqueKeysWithValues: usage.months.flatMap(\.days).map { (Timestamp(day: $0.day).date, $0.events) })
    }

    /// One by one, by the texts of their times.
    static func plain(_ events: some Collection<StoredEvent>, from: Timestamp = .earliest, to: Timestamp = .latest) -> [String: Int64] {
        let months = [from, to].map { $0.rfc3339.prefix(7) }
        var counts: [String: Int64] = [:]
        for event in events {
            let date = event.event.receivedAt.rfc3339.prefix(10)
            if date.prefix(7) >= months[0], date.prefix(7) <= months[1] { counts[String(date), default: 0] += 1 }
        }
        return counts
    }

    /// A project whose events come late, twice, and in any order, while it is rolled, marked, erased from and expires.
    private struct Life {
        var store: any Store
        var random: Seeded
        /// Those that count, by id.
        var events: [String: StoredEvent] = [:]
        /// Earlier events may be deleted.
        var watermark = Timestamp.earliest
        var number = 0

        init(_ store: any Store, seed: UInt64) {
            self.store = store
            random = Seeded(seed)
        }

        /// The events that are not deleted, always in the same order.
        private var open: [StoredEvent] {
            events.values.filter { $0.event.timestamp >= watermark }.sorted { BytewiseString($0.event.id) < BytewiseString($1.event.id) }
        }

        private mutating func moment() -> Timestamp {
            let days = random.chance(60) ? 3 : random.chance(80) ? 100 : 2_000
            var time = noon.milliseconds - Int64(random.below(days)) * StoreContractUsage.day - Int64(random.below(86_400_000))
            // At the ends of days and minutes.
            if random.chance(30) { time = time / StoreContractUsage.day * StoreContractUsage.day - Int64(random.below(2)) }
            return max(Timestamp(milliseconds: time), watermark)
        }

        mutating func send(_ count: Int) async throws {
            var batch: [StoredEvent] = []
            for _ in 0..<count {
                number += 1
                let time = moment()
                let received = random.chance(60) ? max(time, noon - .seconds(86_400)) : noon + .milliseconds(random.below(90 * 86_400_000))
                batch.append(
                    StoreContractUsage.event(
                        "e\(number)", at: time, received: received, type: "t\(random.below(3))", source: "s\(random.below(2))",
                        isBot: random.chance(10)))
            }
            // Duplicates, received later than the stored ones, and redeliveries.
            for old in open where random.chance(5) {
                var again = old
                if random.chance(50) {
                    again.event.receivedAt = noon + .milliseconds(random.below(90 * 86_400_000))
                    again.event.ingestID += " again"
                }
                batch.append(again)
            }
            let outcomes = try await store.insert(batch)
            for (event, outcome) in zip(batch, outcomes) where outcome == .stored { events[event.event.id] = event }
            var marks = BucketMarks(at: noon)
            for (event, outcome) in zip(batch, outcomes) { marks.touch(event, outcome) }
            try await marks.write(to: store)
        }

        mutating func erase() async throws {
            let erased = open.filter { _ in random.chance(10) }
            _ = try await EventRemoval(store: store).remove(erased.map(\.event))
            for event in erased { events[event.event.id] = nil }
        }

        mutating func mark() async throws {
            var marks = BucketMarks()
            for event in open where random.chance(10) {
                marks.touch(BucketKey(project: "p", index: event.event.timestamp.minute), causes: .redelivery)
            }
            if !marks.isEmpty { try await marks.write(to: store) }
        }

        mutating func expire() async throws {
            try await Roller(store: store, logger: quiet).finish()
            watermark = max(watermark, Timestamp(minute: (noon - .seconds(random.below(120) * 86_400)).minute))
            try await store.raiseWatermark(of: "p", to: watermark)
            // A part of the events, or all.
            for _ in 0..<random.below(4) { _ = try await store.deleteExpiredEvents(of: "p", limit: 30) }
        }

        mutating func check(_ comment: String) async throws {
            #expect(try await StoreContractUsage.usage(store) == StoreContractUsage.plain(events.values), "\(comment)")
            let days = [random.below(200) - 100, random.below(200) - 100].sorted()
            let (from, to) = (noon + .seconds(days[0] * 86_400), noon + .seconds(days[1] * 86_400))
            let expected = StoreContractUsage.plain(events.values, from: from, to: to)
            #expect(try await StoreContractUsage.usage(store, from: from, to: to) == expected, "\(comment)")
        }
    }

    @Test("usage is a plain count, whatever came late or twice, is marked, rolled, erased or expired", arguments: StoreBackend.available)
    func random(backend: StoreBackend) async throws {
        for seed in 0..<(backend == .memory ? 20 : 4) as Range<UInt64> {
            try await withStore(backend) { store async throws in
                var life = Life(store, seed: seed)
                for round in 0..<8 {
                    try await life.send(20 + life.random.below(40))
                    if life.random.chance(30) { try await life.erase() }
                    if life.random.chance(30) { try await life.mark() }
                    try await life.check("seed \(seed), round \(round)")
                    if life.random.chance(50) {
                        try await Roller(store: store, logger: quiet).finish()
                        try await life.check("seed \(seed), round \(round), rolled")
                    }
                    if round > 2, life.random.chance(30) {
                        try await life.expire()
                        try await life.check("seed \(seed), round \(round), expired")
                    }
                }
                try await Roller(store: store, logger: quiet).finish()
                try await life.check("seed \(seed), rolled")
                #expect(try await Reconciliation(store: store, pause: .zero).run().differences == [])
                _ = try await Rebuild(store: store, roller: Roller(store: store, logger: quiet)).run()
                try await life.check("seed \(seed), rebuilt")
            }
        }
    }

    @Test("an event of the year 1 counts, and so does one that was received before its time", arguments: StoreBackend.available)
    func wide(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let events = [
                Self.event("a", at: .earliest, received: noon), Self.event("b", at: .latest, received: noon),
                Self.event("c", at: noon, received: noon - .seconds(40 * 86_400)),
            ]
            for event in events {
                var marks = BucketMarks()
                for (event, outcome) in zip([event], try await store.insert([event])) { marks.touch(event, outcome) }
                try await marks.write(to: store)
            }
            for isRolled in [false, true] {
                if isRolled { try await Roller(store: store, logger: quiet).finish() }
                #expect(try await Self.usage(store) == ["2026-03-01": 2, "2026-01-20": 1])
            }
        }
    }

    // MARK: Buckets of an earlier version

    /// As if an earlier version had counted everything.
    private func forget(_ store: any Store) async throws {
        if let store = store as? MemoryStore {
            for tier in RollupTier.allCases {
                for bucket in store.buckets(tier) { store.edit(tier, bucket.key) { $0.received = nil } }
            }
        } else if let store = store as? SQLiteStore {
            try await store.write(.prepare) { try $0.execute(sql: "UPDATE buckets SET received = NULL") }
        } else if let store = store as? MongoStore {
            try await store.run(.prepare) { session throws(StoreError) in
                for collection in [CollectionName.minutes, .hours, .days] {
                    let update: BSON = ["q": [:], "u": ["$unset": ["received": ""]], "multi": true]
                    try session.command([("update", .string(collection.rawValue)), ("updates", [update])], writes: true) { _ in }
                }
            }
        }
    }

    private func missing(_ store: any Store) async throws -> [RollupTier] {
        var missing: [RollupTier] = []
        for tier in RollupTier.allCases {
            let buckets = try await store.rollups(tier, project: "p", in: [tier.allIndexes], byteLimit: .max, content: .received).rollups
            if buckets.contains(where: { $0.received == nil }) { missing.append(tier) }
        }
        return missing
    }

    @Test("buckets of an earlier version are counted by receipt, and nothing else of them changes", arguments: StoreBackend.available)
    func filled(backend: StoreBackend) async throws {
        for seed in 0..<(backend == .memory ? 10 : 2) as Range<UInt64> {
            try await withStore(backend) { store async throws in
                var life = Life(store, seed: seed)
                for _ in 0..<4 {
                    try await life.send(40)
                    if life.random.chance(50) { try await Roller(store: store, logger: quiet).finish() }
                }
                try await forget(store)
                #expect(try await missing(store) == RollupTier.allCases)
                try await life.check("seed \(seed), from the events")
                func buckets() async throws -> [[Rollup]] {
                    var buckets: [[Rollup]] = []
                    for tier in RollupTier.allCases { buckets.append(try await store.rollups(tier, project: "p", in: [tier.allIndexes])) }
                    return buckets
                }
                let before = try await buckets()
                #expect(try await ReceivedFill(store: store).run() == before[0].count)
                #expect(try await buckets() == before)
                try await life.check("seed \(seed), filled")
                try await Roller(store: store, logger: quiet).finish()
                _ = try await ReceivedFill(store: store).run()
                #expect(try await missing(store) == [])
                #expect(try await ReceivedFill(store: store).run() == 0)
                try await life.check("seed \(seed), rolled")
                #expect(try await Reconciliation(store: store, pause: .zero).run().differences == [])
            }
        }
    }

    @Test(
        "of events that are deleted it is not known when they were received: they count on their own day", arguments: StoreBackend.available
    )
    func deleted(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            // Two minutes of a day with two events each, received on later days.
            let events = (0..<4).map { index in
                Self.event("e\(index)", at: noon + .seconds(index * 30), received: noon + .seconds((index % 2 + 1) * 86_400))
            }
            var marks = BucketMarks()
            for (event, outcome) in zip(events, try await store.insert(events)) { marks.touch(event, outcome) }
            try await marks.write(to: store)
            try await Roller(store: store, logger: quiet).finish()
            #expect(try await Self.usage(store) == ["2026-03-02": 2, "2026-03-03": 2])
            try await store.raiseWatermark(of: "p", to: noon + .seconds(3_600))
            #expect(try await store.deleteExpiredEvents(of: "p", limit: 1) == 1)
            #expect(try await Self.usage(store) == ["2026-03-02": 2, "2026-03-03": 2], "what this version has counted is known")
            try await forget(store)
            #expect(try await Self.usage(store) == ["2026-03-01": 4])
            _ = try await ReceivedFill(store: store).run()
            let expected: [String: Int64] = ["2026-03-01": 2, "2026-03-02": 1, "2026-03-03": 1]
            #expect(try await Self.usage(store) == expected, "one event of the first minute is deleted, none of the second")
            while try await store.deleteExpiredEvents(of: "p", limit: 9) > 0 {}
            _ = try await Rebuild(store: store, roller: Roller(store: store, logger: quiet)).run()
            #expect(try await Self.usage(store) == expected)
            #expect(try await missing(store) == [])
        }
    }
}
