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
            #expect(names.contains(Index.byTime) && !names.contains(Index.byTimeBefore))
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
            try await store.createKey(storedKey(1, of: project))
            try await store.setTitle(of: project, to: "The first")
            let other = try await open()
            try await other.prepare()
            #expect(try await other.key(storedKey(1).id) == storedKey(1, of: project))
            #expect(try await other.isAnonymousAccessClosed())
            var expected = before
            expected.title = "The first"
            #expect(try await other.newestRecords(of: [project]) == [expected])
        }
    }

    @Test("SQLite: a record of version 14 is kept, without the settings that came after it")
    func version14() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "store-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "events.sqlite").path
        let file = try DatabaseQueue(path: path)
        try await file.write { db in
            try SQLiteStoreSchema.prepare(db, to: 14)
            try db.execute(
                sql: """
                    INSERT INTO projects (
                        project, retentionDays, changedAt, closedBefore, watermark, timeZone, properties, visitorIds, erasures)
                    VALUES ('old', 30, ?1, ?1, ?1, 'Europe/Berlin', '["data.plan"]', 1, 2)
                    """, arguments: [noon.milliseconds])
        }
        try file.close()
        let store = try SQLiteStore(path: path, logger: quiet)
        for _ in 0..<2 { try await store.prepare() }
        #expect(try await store.read(.prepare) { try Int.fetchOne($0, sql: "PRAGMA user_version") } == SQLiteStoreSchema.version)
        var expected = ProjectRecord(
            project: "old", retentionDays: 30, changedAt: noon, closedBefore: noon, watermark: noon, timeZone: ZoneName("Europe/Berlin"),
            properties: [try PropertyPath("data.plan")], hasVisitorIds: true, erasures: 2)
        #expect(try await store.projectRecords() == [expected])
        #expect(try await store.isAnonymousAccessClosed() == false)
        try await store.createKey(storedKey(1, of: "old"))
        try await store.setRates(of: "old", to: ProjectRates(requestsPerSecond: 5))
        expected.rates.requestsPerSecond = 5
        #expect(try await store.projectRecords() == [expected])
        #expect(try await store.keys(of: "old") == [storedKey(1, of: "old")])
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
