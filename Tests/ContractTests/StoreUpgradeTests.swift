import Foundation
import GRDB
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsEmbedded
@testable import AnalyticsMongoDB

/// Data of earlier versions, brought to this one.
@Suite("Store: upgrades from data of version 1", .timeLimit(.minutes(3)))
struct StoreUpgradeTests {
    /// Whether the TTL index that deleted the events is still there; RETENTION_DAYS=0 dropped it. SQLite never said.
    enum Source: String, CaseIterable, CustomTestStringConvertible {
        case sqlite
        case mongodb
        case mongodbWithIndex

        var backend: StoreBackend { self == .sqlite ? .sqlite : .mongodb }
        static let available = allCases.filter { StoreBackend.available.contains($0.backend) }
        var testDescription: String { rawValue }
    }

    /// `body` gets the store not prepared yet, and can open it once more as another process would.
    private func withOldStore(
        _ source: Source, isFolded: Bool = false, _ body: (StoreFixture, any Store, () async throws -> any Store) async throws -> Void
    ) async throws {
        let fixture = try StoreFixture(version: 1, source.backend, isFolded: isFolded)
        guard source == .sqlite else {
            let uri = try #require(ProcessInfo.processInfo.environment["TEST_MONGODB_URI"])
            return try await withMongoDatabase(isPrepared: false) { store in
                try await store.load(fixture.folder.appending(path: "store.jsonl")) { $0 != Index.expiry || source == .mongodbWithIndex }
                let database = try await store.run(.prepare) { $0.database }
                var others: [MongoStore] = []
                try await body(fixture, store) {
                    others.append(try MongoStore(uri: uri, database: database, poolSize: 2, logger: quiet))
                    return others[others.count - 1]
                }
                for other in others { await other.shutdown() }
            }
        }
        let folder = FileManager.default.temporaryDirectory.appending(path: "store-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "events.sqlite").path
        try FileManager.default.copyItem(atPath: fixture.folder.appending(path: "events.sqlite").path, toPath: path)
        try await body(fixture, SQLiteStore(path: path, logger: quiet)) { try SQLiteStore(path: path, logger: quiet) }
    }

    private func expectCounts(_ fixture: StoreFixture, _ store: any Store, location: SourceLocation = #_sourceLocation) async throws {
        for project in fixture.projects {
            let (counts, _) = try await QueryEngine(store: store, cache: NoCache(), gate: QueryGate()).counts(CountQuery(project: project))
            #expect(counts == fixture.counts(of: project), "\(project)", sourceLocation: location)
        }
    }

    @Test("the watermark covers what was deleted, so that a rebuild keeps every count", arguments: Source.available)
    func watermarks(source: Source) async throws {
        try await withOldStore(source) { fixture, store, _ async throws in
            try await store.prepare()
            #expect(Set(try await store.projects()) == fixture.projects)
            for project in fixture.projects {
                let record = try await store.newestRecords(of: [project]).first
                #expect(record?.retentionDays == nil, "the first process that has a RETENTION_DAYS says it")
                guard source != .mongodbWithIndex else {
                    // By the server's clock, a day later than what the index deletes; the fixture was made in the past.
                    let watermark = try #require(record?.watermark)
                    let expected = Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) - .seconds(16 * 86_400)
                    #expect(watermark <= expected && expected - watermark < .seconds(300))
                    continue
                }
                #expect(record?.watermark == fixture.watermark(of: project), "\(project)")
                #expect(record?.closedBefore == record?.watermark)
            }
            try await expectCounts(fixture, store)
            _ = try await Rebuild(store: store, roller: Roller(store: store, logger: quiet)).run()
            try await expectCounts(fixture, store)
            let report = try await Reconciliation(store: store, pause: .zero).run()
            #expect(report.differences == [] && report.marked == 0 && report.expired > 0)
        }
    }

    @Test("preparing twice, and by several processes at once, changes nothing more", arguments: Source.available)
    func preparing(source: Source) async throws {
        try await withOldStore(source) { fixture, store, open async throws in
            var processes = [store]
            for _ in 0..<3 { processes.append(try await open()) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for process in processes { group.addTask { try await process.prepare() } }
                try await group.waitForAll()
            }
            let records = ProjectRecords(try await store.projectRecords())
            for project in fixture.projects where source != .mongodbWithIndex {
                #expect(records[project]?.watermark == fixture.watermark(of: project))
            }
            try await store.setRetention(of: "default", days: 30, at: noon)
            try await processes[1].prepare()
            #expect(try await store.newestRecords(of: ["default"]).first?.retentionDays == 30)
            try await expectCounts(fixture, store)
        }
    }

    // The index that the version before had deletes events by the server's clock, sooner or later all of them.
    @Test(
        "events of bots are told beside those of earlier versions, of which none is",
        arguments: Source.available.filter { $0 != .mongodbWithIndex })
    func bots(source: Source) async throws {
        try await withOldStore(source) { fixture, store, _ async throws in
            try await store.prepare()
            // Of one project the version before had deleted all events.
            let project = try #require(fixture.projects.sorted().first { fixture.kept(of: $0) > 0 })
            let times = [Timestamp.earliest..<Timestamp.latest]
            let before = try await store.countEvents(Selection(project: project), in: times, into: FirstRows(.max)).rows
            #expect(!before.isEmpty && before.allSatisfy { $0.bots == 0 })
            var human = Selection(project: project)
            human.includesBots = false
            #expect(try await store.countEvents(human, in: times, into: FirstRows(.max)).rows == before)
            try await store.add([stored("bot", project: project, type: "from a bot", at: noon, isBot: true)])
            #expect(try await store.countEvents(human, in: times, into: FirstRows(.max)).rows == before)
            let all = try await store.countEvents(Selection(project: project), in: times, into: FirstRows(.max)).rows
            #expect(all.filter { $0.bots == 1 }.map(\.type) == ["from a bot"] && all.count == before.count + 1)
            guard let store = store as? MongoStore else { return }
            var names: Set<String> = []
            for name in try await store.run(
                .prepare,
                { session throws(StoreError) in
                    var names: [String] = []
                    try session.indexes(of: .events) { index in names.append(index["name"]?.string ?? "") }
                    return names
                })
            { names.insert(name) }
            #expect(names.contains(Index.byTime) && names.isDisjoint(with: Index.byTimeBefore))
        }
    }

    @Test("the index by which the server deleted events is dropped", arguments: Source.available.filter { $0 != .sqlite })
    func index(source: Source) async throws {
        try await withOldStore(source) { _, store, _ async throws in
            let store = try #require(store as? MongoStore)
            try await store.prepare()
            #expect(try await store.run(.prepare) { session throws(StoreError) in try session.expiryOfEvents() } == nil)
            // An older version that is started once more beside this one makes it anew.
            try await store.run(.prepare) { session throws(StoreError) in
                let index: BSON = ["name": .string(Index.expiry), "key": ["timestamp": 1], "expireAfterSeconds": 86_400_000]
                try session.command([("createIndexes", "events"), ("indexes", [index])], writes: true) { _ in }
            }
            try await store.prepare()
            #expect(try await store.run(.prepare) { session throws(StoreError) in try session.expiryOfEvents() } == nil)
        }
    }

    @Test("a late event below what was deleted does not hide it", arguments: Source.available.filter { $0 != .mongodbWithIndex })
    func lateEvent(source: Source) async throws {
        try await withOldStore(source) { fixture, store, _ async throws in
            // The retention was raised, and one event of a deleted minute came in: the oldest event, in a minute that agrees with it.
            let first = try #require(fixture.expected.stored.filter { $0.projectID == "default" }.map(\.minute).min())
            let late = stored("late", project: "default", at: Timestamp(minute: first))
            let bucket = try #require(try await store.rollup(.minute, key(first, "default")))
            let one = [RollupGroup(type: "view", source: "web", count: 1)]
            if let store = store as? SQLiteStore {
                // As version 1 did: the table does not have the columns of later versions yet.
                try await store.write(.insert) { db in
                    try db.execute(
                        sql: """
                            INSERT INTO events (project, id, type, source, timestamp, receivedAt, receipt, processedAt, fingerprint)
                            VALUES ('default', 'late', 'view', 'web', ?1, ?1, 'r-late', ?1, 1)
                            """, arguments: [late.event.timestamp.milliseconds])
                    try db.execute(
                        sql: """
                            UPDATE buckets SET version = version + 1, done = version + 1, groups = ?
                            WHERE tier = 0 AND project = 'default' AND bucket = ?
                            """, arguments: [Data(GroupTable(one).bytes), first])
                }
            } else {
                try await store.add([late])
                try await store.mark(.minute, [bucket.key])
                _ = try await store.roll(.minute, [RolledBucket(key: bucket.key, version: bucket.version + 1, groups: one)])
            }
            try await store.prepare()
            #expect(try await store.newestRecords(of: ["default"]).first?.watermark == fixture.watermark(of: "default"))
        }
    }

    @Test(
        "events of an earlier version have no anonymous id, and those that come after them do",
        arguments: Source.available.filter { $0 != .mongodbWithIndex })
    func anonymousIds(source: Source) async throws {
        try await withOldStore(source) { _, store, _ async throws in
            try await store.prepare()
            let earlier = try await store.events(matching: Selection(project: "default"), after: nil, limit: 1_000)
            #expect(!earlier.isEmpty && earlier.allSatisfy { $0.event.anonymousId == nil })
            let newer = stored("newer", project: "default", at: .latest, userId: "u", anonymousId: "e\u{301}", sessionId: "s")
            try await store.add([newer])
            #expect(try await store.event(project: "default", id: "newer") == newer)
            #expect(try await store.ids(Selection(project: "default", anonymousIds: ["e\u{301}"])) == ["newer"])
            #expect(try await store.events(matching: Selection(project: "default"), after: nil, limit: 1_000) == [newer] + earlier)
        }
    }

    /// Version 1 named at most 1,000 groups of a bucket.
    @Test("every group is counted, before and after the roll", arguments: Source.available.filter { $0 != .mongodbWithIndex })
    func folded(source: Source) async throws {
        try await withOldStore(source, isFolded: true) { fixture, store, _ async throws in
            try await store.prepare()
            let events = fixture.expected.stored
            let first = Timestamp(minute: events.map(\.minute).min() ?? 0)
            let ranges =
                [(nil, nil), (first, first + .seconds(60)), (first + .seconds(3600), first + .seconds(7200))] as [(Timestamp?, Timestamp?)]
            for isRolled in [false, true] {
                if isRolled { try await Roller(store: store, logger: quiet).finish() }
                #expect(try await store.dirtyBuckets(.hour, after: nil, limit: 9).count == (isRolled ? 0 : 2))
                for (from, to) in ranges {
                    for (types, sources) in [([], []), (["type7", "kind3", "__other__"], []), ([], ["host42", "fixture"])]
                        as [([String], [String])]
                    {
                        for grouping in CountQuery.Grouping.allCases {
                            let query = CountQuery(
                                project: "default", types: types, sources: sources, from: from, to: to, grouping: grouping, limit: 10_000)
                            let counts = try await QueryEngine(store: store, cache: NoCache(), gate: QueryGate()).counts(query).counts
                            #expect(counts == fixture.counts(query), "\(isRolled) \(query)")
                        }
                    }
                }
            }
            let report = try await Reconciliation(store: store, pause: .zero).run()
            #expect(report.differences == [] && report.days == 1 && report.marked == 0)
        }
    }

    @Test("generations are kept as the versions of days, which are marked", arguments: Source.available.filter { $0 != .mongodbWithIndex })
    func days(source: Source) async throws {
        try await withOldStore(source) { fixture, store, open async throws in
            try await store.prepare()
            var generations: [Int64] = []
            for project in fixture.projects.sorted() {
                let days = -1_000..<1_000_000 as Range<Int64>
                let generation = try await store.generation(project: project, days: days)
                let rollups = try await store.rollups(.day, project: project, in: [days])
                #expect(generation > 0 && rollups.reduce(0) { $0 + $1.version } == generation)
                #expect(rollups.allSatisfy { $0.dirty && $0.done == 0 && $0.table == .empty })
                generations.append(generation)
            }
            try await expectCounts(fixture, store)
            try await Roller(store: store, logger: quiet).finish()
            try await open().prepare()
            #expect(try await store.dirtyBuckets(.day, after: nil, limit: 9) == [])
            try await expectCounts(fixture, store)
            for (project, generation) in zip(fixture.projects.sorted(), generations) {
                #expect(try await store.generation(project: project, days: -1_000..<1_000_000) == generation)
            }
        }
    }

    @Test(
        "where the events of a folded minute are gone no count is given of it, and everything else is",
        arguments: Source.available.filter { $0 != .mongodbWithIndex })
    func foldedBelowTheWatermark(source: Source) async throws {
        try await withOldStore(source, isFolded: true) { fixture, store, open async throws in
            try await store.prepare()
            let first = Timestamp(minute: fixture.expected.stored.map(\.minute).min() ?? 0)
            try await store.raiseWatermark(of: "default", to: first + .seconds(86_400))
            while try await store.deleteExpiredEvents(of: "default", limit: 1_000) > 0 {}
            for isRolled in [false, true] {
                if isRolled { try await Roller(store: store, logger: quiet).finish() }
                let engine = QueryEngine(store: store, cache: NoCache(), gate: QueryGate())
                for to in [nil, first + .seconds(60)] {
                    await #expect(throws: QueryTooLargeError.self) {
                        try await engine.counts(CountQuery(project: "default", types: ["type7"], from: first, to: to))
                    }
                }
                // The minutes of the other hour each named all of their groups.
                let query = CountQuery(project: "default", types: ["kind3"], from: first + .seconds(60))
                #expect(try await engine.counts(query).counts.total == 100)
            }
        }
    }

    @Test(
        "usage counts what an earlier version has stored, before and after its buckets are counted by receipt",
        arguments: Source.available.filter { $0 != .mongodbWithIndex })
    func usage(source: Source) async throws {
        try await withOldStore(source) { fixture, store, _ async throws in
            try await store.prepare()
            let now = Timestamp(milliseconds: fixture.expected.now)
            for project in fixture.projects {
                let events = try await store.events(matching: Selection(project: project), after: nil, limit: 100_000)
                let total = fixture.expected.stored.filter { $0.projectID == project }.map(\.count).reduce(0, +)
                for step in 0..<4 {
                    if step == 1 { _ = try await ReceivedFill(store: store).run() }
                    if step == 2 { try await Roller(store: store, logger: quiet).finish() }
                    if step == 3 { _ = try await Rebuild(store: store, roller: Roller(store: store, logger: quiet)).run() }
                    let usage = try await StoreContractUsage.usage(
                        store, from: now - .seconds(1_000 * 86_400), to: now + .seconds(31 * 86_400), of: project)
                    #expect(usage.values.reduce(0, +) == total, "\(project), step \(step)")
                    // Deleted events are not listed; they count on their own days.
                    for (date, count) in StoreContractUsage.plain(events) { #expect(usage[date] ?? 0 >= count, "\(project), \(date)") }
                    if total == Int64(events.count) { #expect(usage == StoreContractUsage.plain(events), "\(project), step \(step)") }
                }
            }
            #expect(try await ReceivedFill(store: store).run() == 0)
            #expect(try await Reconciliation(store: store, pause: .zero).run().differences == [])
        }
    }

    @Test("SQLite: buckets of the version before are counted by receipt after the upgrade")
    func versionBefore() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "store-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "events.sqlite").path
        let file = try DatabaseQueue(path: path)
        try await file.write { db in
            try SQLiteStoreSchema.prepare(db, to: 16)
            for index in 0..<3 as Range<Int64> {
                let received = noon.milliseconds + index * 86_400_000
                try db.execute(
                    sql: """
                        INSERT INTO events (project, id, type, source, timestamp, receivedAt, receipt, processedAt, fingerprint)
                        VALUES ('p', ?1, 'view', 'web', ?2, ?3, 'r', ?3, 1)
                        """, arguments: ["e\(index)", noon.milliseconds, received])
            }
            let hour = RollupGroup(type: "view", source: "web", count: 3, quarters: [3, 0, 0, 0])
            for (tier, bucket, group) in [
                (0, noon.minute, RollupGroup(type: "view", source: "web", count: 3)), (1, noon.hour, hour),
                (2, noon.day, RollupGroup(type: "view", source: "web", count: 3)),
            ] {
                try db.execute(
                    sql: "INSERT INTO buckets (tier, project, bucket, version, done, dirty, groups) VALUES (?, 'p', ?, 1, 1, 0, ?)",
                    arguments: [tier, bucket, Data(GroupTable([group]).bytes)])
            }
        }
        try file.close()
        let store = try SQLiteStore(path: path, logger: quiet)
        for _ in 0..<2 { try await store.prepare() }
        let expected: [String: Int64] = ["2026-03-01": 1, "2026-03-02": 1, "2026-03-03": 1]
        #expect(try await StoreContractUsage.usage(store) == expected)
        #expect(try await ReceivedFill(store: store).run() == 1)
        #expect(try await StoreContractUsage.usage(store) == expected)
        for tier in RollupTier.allCases {
            let page = try await store.rollups(tier, project: "p", in: [tier.allIndexes], byteLimit: .max, content: .all)
            #expect(try page.rollups.map { try $0.received?.days().count } == [3] && page.rollups.allSatisfy { $0.version == 1 })
        }
        #expect(try await Reconciliation(store: store, pause: .zero).run().differences == [])
        // From the index alone.
        let plan = try await store.read(.prepare) { db in
            try Row.fetchAll(db, sql: "SELECT name FROM pragma_index_info('events_minute')").map { $0[0] as String? ?? "" }
        }
        #expect(plan.last == "receivedAt")
    }

    @Test("a store of an earlier version has no keys and is open; then it takes keys and settings", arguments: Source.available)
    func access(source: Source) async throws {
        try await withOldStore(source) { fixture, store, open async throws in
            try await store.prepare()
            #expect(try await store.isAnonymousAccessClosed() == false)
            #expect(try await store.keys(of: nil) == [])
            for record in try await store.projectRecords() {
                #expect(record.title == nil && record.createdAt == nil && record.archivedAt == nil && record.origins == [])
                #expect(record.rates == ProjectRates())
            }
            let project = try #require(fixture.projects.sorted().first)
            let before = try await store.newestRecords(of: [project]).first ?? ProjectRecord(project: project)
            #expect(try await store.records(.account, of: nil, before: nil, limit: 9) == [])
            try await store.createKey(storedKey(1, of: project))
            #expect(try await store.write(smallRecord("a", of: project.name, expiresAt: noon)))
            try await store.setTitle(of: project, to: "The first")
            let other = try await open()
            try await other.prepare()
            #expect(try await other.key(storedKey(1).id) == storedKey(1, of: project))
            #expect(try await other.isAnonymousAccessClosed())
            #expect(try await other.record(.account, "a") == smallRecord("a", of: project.name, expiresAt: noon))
            #expect(try await other.removeExpiredRecords(at: noon, limit: 9) == 1)
            var expected = before
            expected.title = "The first"
            #expect(try await other.newestRecords(of: [project]) == [expected])
        }
    }

    /// A store over a file of this version, with what `fill` writes, prepared twice.
    private func withSQLite(
        version: Int, _ fill: @escaping @Sendable (Database) throws -> Void, _ body: (SQLiteStore) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "store-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "events.sqlite").path
        let file = try DatabaseQueue(path: path)
        try await file.write { db in
            try SQLiteStoreSchema.prepare(db, to: version)
            try fill(db)
        }
        try file.close()
        let store = try SQLiteStore(path: path, logger: quiet)
        for _ in 0..<2 { try await store.prepare() }
        #expect(try await store.read(.prepare) { try Int.fetchOne($0, sql: "PRAGMA user_version") } == SQLiteStoreSchema.version)
        try await body(store)
    }

    @Test("SQLite: a record of version 14 is kept, without the settings that came after it")
    func version14() async throws {
        let fill: @Sendable (Database) throws -> Void = { db in
            try db.execute(
                sql: """
                    INSERT INTO projects (
                        project, retentionDays, changedAt, closedBefore, watermark, timeZone, properties, visitorIds, erasures)
                    VALUES ('old', 30, ?1, ?1, ?1, 'Europe/Berlin', '["data.plan"]', 1, 2)
                    """, arguments: [noon.milliseconds])
        }
        try await withSQLite(version: 14, fill) { store async throws in
            var expected = ProjectRecord(
                project: "old", retentionDays: 30, changedAt: noon, closedBefore: noon, watermark: noon,
                timeZone: ZoneName("Europe/Berlin"), properties: [try PropertyPath("data.plan")], hasVisitorIds: true, erasures: 2)
            #expect(try await store.projectRecords() == [expected])
            #expect(try await store.isAnonymousAccessClosed() == false)
            try await store.createKey(storedKey(1, of: "old"))
            try await store.setRates(of: "old", to: ProjectRates(requestsPerSecond: 5))
            expected.rates.requestsPerSecond = 5
            #expect(try await store.projectRecords() == [expected])
            #expect(try await store.keys(of: "old") == [storedKey(1, of: "old")])
        }
    }

    @Test("SQLite: the keys and the latch of version 15 are kept, and there are no small records")
    func version15() async throws {
        let key = storedKey(1, of: "old")
        let fill: @Sendable (Database) throws -> Void = { db in
            try db.execute(
                sql: """
                    INSERT INTO keys (id, digest, project, scope, name, prefix, maker, createdAt) VALUES (?, ?, 'old', 'write', ?, ?, ?, ?);
                    INSERT INTO access (id, closedAt) VALUES (1, ?)
                    """,
                arguments: [
                    key.id, Data(key.digest.bytes), key.name, key.prefix, key.maker, noon.milliseconds, noon.milliseconds,
                ])
        }
        try await withSQLite(version: 15, fill) { store async throws in
            #expect(try await store.keys(of: nil) == [key])
            #expect(try await store.isAnonymousAccessClosed())
            #expect(try await store.records(.audit, of: nil, before: nil, limit: 9) == [])
            #expect(try await store.write(smallRecord("a", kind: .audit, of: "old")))
            #expect(try await store.records(.audit, of: "old", before: nil, limit: 9) == [smallRecord("a", kind: .audit, of: "old")])
        }
    }

    @Test(
        "MongoDB: the keys and the latch of version 6 are kept, and the collection of small records is created",
        .enabled(if: StoreBackend.available.contains(.mongodb)))
    func version6() async throws {
        try await withMongoDatabase { store async throws in
            try await store.createKey(storedKey(1))
            try await store.run(.prepare) { session throws(StoreError) in
                try session.command([("drop", "records")], writes: true) { _ in }
                let update: BSON = ["q": ["_id": "schema"], "u": ["$set": ["version": 6]]]
                try session.command([("update", "meta"), ("updates", [update])], writes: true) { _ in }
            }
            for _ in 0..<2 { try await store.prepare() }
            let (version, indexes) = try await store.run(.prepare) { session throws(StoreError) in
                var version: Int64?
                try session.find(.meta, [("_id", "schema")], []) { row in version = row["version"]?.integer }
                var names: [String] = []
                try session.indexes(of: .records) { index in names.append(index["name"]?.string ?? "") }
                return (version, names)
            }
            #expect(version == Schema.version)
            #expect(Set(indexes).isSuperset(of: [Index.byOwner, Index.byExpiry]))
            #expect(try await store.keys(of: nil) == [storedKey(1)])
            #expect(try await store.isAnonymousAccessClosed())
            #expect(try await store.write(smallRecord("a")))
        }
    }

    @Test("a database of a newer version is refused, and both versions are told", .enabled(if: StoreBackend.available.contains(.mongodb)))
    func newer() async throws {
        try await withMongoDatabase { store in
            try await store.run(.prepare) { session throws(StoreError) in
                let update: BSON = ["q": ["_id": "schema"], "u": ["$set": ["version": 99]]]
                try session.command([("update", "meta"), ("updates", [update])], writes: true) { _ in }
            }
            await expectRefusal(of: 99, knowing: Schema.version) { try await store.prepare() }
        }
    }
}

/// Expects an error of one line that names both versions.
func expectRefusal(
    of stored: Int64, knowing own: Int64, location: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async {
    await #expect(sourceLocation: location) {
        try await body()
    } throws: { error in
        guard let error = error as? StoreError, error.code == .misconfigured, !error.description.contains("\n") else { return false }
        return error.message.contains("version \(stored)") && error.message.contains("up to \(own)")
    }
}

private struct NoCache: CountCache {
    func value(for key: String) async -> CacheLookup { .miss }
    func store(_ value: [UInt8], for key: String, timeToLive: Duration) async {}
    func health() async -> Health { .down("away") }
}
