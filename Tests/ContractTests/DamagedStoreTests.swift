import AnalyticsCore
import AnalyticsJSON
import Foundation
import GRDB
import TestSupport
import Testing

@testable import AnalyticsEmbedded
@testable import AnalyticsMongoDB

/// What a store holds may be damaged. It is told then, and nothing wrong is answered.
@Suite("Damaged stores")
struct DamagedStoreTests {
    private func code(_ body: () async throws -> Void) async -> StoreError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    private static let group = RollupGroup(type: "view", source: "web", count: 1)

    // MARK: Bytes

    /// A group's count and quarters, and whether a roller can have written them.
    static let groups: [(count: Int64, quarters: [Int64], isPossible: Bool)] = [
        (0, [], true), (1 << 40, [], true), (1, [0, 0, 0, 1], true), (1 << 40 + 1, [], false), (.max, [], false), (-1, [], false),
        (.min, [], false),
        (1, [1], false), (1, [0, 0, 0, 0, 1], false), (1, [0, 0, 0, -1], false), (1, [0, 0, 0, .max], false),
    ]

    @Test("MongoDB: groups that no roller can have written are refused", arguments: groups)
    func mongoGroups(count: Int64, quarters: [Int64], isPossible: Bool) throws {
        let group = RollupGroup(type: "t", source: "s", count: count, quarters: quarters)
        #expect((Self.bucket([("groups", .array([Self.document(group)]))]) != nil) == isPossible)
    }

    /// As versions up to schema 2 wrote groups.
    private static func document(_ group: RollupGroup) -> BSON {
        let fields: [(String, BSON)] = [("type", .string(group.type)), ("source", .string(group.source)), ("n", .integer(group.count))]
        return .document(group.quarters.isEmpty ? fields : fields + [("q", .array(group.quarters.map(BSON.integer)))])
    }

    /// A bucket's document, with these fields instead.
    private static func bucket(_ changes: [(String, BSON?)], cut: Int = 0) -> Rollup? {
        var fields: [(String, BSON)] = [
            ("_id", Key.bucket(.minute, key(5))), ("v", 1), ("done", 1), ("dirty", false),
            ("groups", .array([document(group), document(group)])),
        ]
        for (name, value) in changes {
            fields.removeAll { $0.0 == name }
            if let value { fields.append((name, value)) }
        }
        return BSONDocument(fields)?.bytes.dropLast(cut).withUnsafeBytes { Rollup(BSONView($0), .minute) }
    }

    @Test("MongoDB: a bucket without one of its fields, or with another type in it, is refused")
    func mongoBuckets() {
        #expect(Self.bucket([])?.groups.count == 2)
        for name in ["_id", "v", "done", "dirty", "groups"] {
            #expect(Self.bucket([(name, nil)]) == nil, "\(name)")
            #expect(Self.bucket([(name, "text")]) == nil, "\(name)")
        }
        let groups: [BSON] = [
            "text", 1, [:], ["type": "t", "source": "s"], ["type": 1, "source": "s", "n": 1],
            ["type": "t", "source": "s", "n": .double(1.5)],
        ]
        for group in groups {
            #expect(Self.bucket([("groups", .array([Self.document(Self.group), group]))]) == nil)
        }
        for cut in 1..<90 { #expect(Self.bucket([], cut: cut) == nil, "\(cut) bytes cut off") }
    }

    @Test("MongoDB: an event whose bytes are cut short, or of whose fields one cannot be read, is refused and not given in part")
    func mongoEvents() throws {
        var event = stored("a", userId: "u", anonymousId: "an")
        event.context = JSONText(normalised: #"{"a":1}"#)
        let whole = try #require(BSONDocument(event.document)).bytes
        #expect(whole.withUnsafeBytes { StoredEvent(BSONView($0)) } == event)
        for length in 0..<whole.count {
            #expect(Array(whole.prefix(length)).withUnsafeBytes { StoredEvent(BSONView($0)) } == nil, "\(length) bytes")
        }
        for name in ["userId", "anonymousId"] {
            let other = event.document.map { $0.0 == name ? ($0.0, BSON.integer(1)) : $0 }
            let bytes = try #require(BSONDocument(other)).bytes
            #expect(bytes.withUnsafeBytes { StoredEvent(BSONView($0)) } == nil)
        }
    }

    // MARK: Whole stores

    /// A SQLite store, and a second connection to its file.
    private func withSQLite(_ body: (SQLiteStore, DatabaseQueue) async throws -> Void) async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("damaged-\(UUID().uuidString).sqlite").path
        defer { for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + end) } }
        let store = try SQLiteStore(path: path, logger: quiet)
        try await store.prepare()
        try await body(store, DatabaseQueue(path: path))
    }

    @Test("SQLite: damaged tables are passed over for what is finer, and are an error where nothing finer is left")
    func sqliteCounts() async throws {
        try await withSQLite { store, file async throws in
            try await store.add([stored("a")])
            try await store.mark(.minute, [BucketMark(key: key(noon.minute), groups: [Self.group])])
            try await store.mark(.hour, [key(noon.hour)])
            try await Roller(store: store, logger: quiet).finish()
            let engine = QueryEngine(store: store, cache: MemoryCache(), gate: QueryGate())
            let minute = CountQuery(project: "p", from: noon, to: noon + .seconds(60))
            let hour = CountQuery(project: "p", from: noon, to: noon + .seconds(3600))
            for bytes in [[9, 9, 9], [2], [2, 4, 1, 0, 1, 0, 9], [1, 1]] as [[UInt8]] {
                try await file.write { try $0.execute(sql: "UPDATE buckets SET groups = ?", arguments: [Data(bytes)]) }
                for query in [minute, hour] {
                    try await store.bumpGenerations([key(noon.day)])
                    #expect(try await engine.counts(query).counts.total == 1)
                }
            }
            try await store.raiseWatermark(of: "p", to: noon + .seconds(3600))
            try await store.bumpGenerations([key(noon.day)])
            await #expect(throws: QueryTooLargeError.self) { try await engine.counts(hour) }
        }
    }

    @Test("Sums beyond 64 bits fail, and do not end the process")
    func overflow() async throws {
        let store = EndlessStore(count: 1 << 62)
        let engine = QueryEngine(store: store, cache: MemoryCache(), gate: QueryGate())
        for grouping in CountQuery.Grouping.allCases {
            let query = CountQuery(project: "p", from: noon, to: noon + .seconds(300), grouping: grouping)
            #expect(await code { _ = try await engine.counts(query) } == .misconfigured)
        }
    }

    @Test("events and buckets at times that no event can have are in no walk over everything", arguments: StoreBackend.available)
    func times(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for (number, time) in [Int64.min, .max, 0].enumerated() {
                try await store.add([stored("\(number)", at: Timestamp(milliseconds: time))])
            }
            for tier in RollupTier.allCases { try await store.mark(tier, [Int64.min, .max, 0].map { key($0) }) }
            try await expectBounded(store, minutes: [0], hours: [0])
        }
    }

    private func expectBounded(_ store: any Store, minutes: [Int64], hours: [Int64]) async throws {
        #expect(try await store.dirtyBuckets(.minute, after: nil, limit: 10).map(\.key.index) == minutes)
        #expect(try await store.dirtyBuckets(.hour, after: nil, limit: 10).map(\.key.index) == hours)
        let extent = try #require(try await store.extent(project: "p"))
        #expect(extent.lowerBound <= Timestamp(milliseconds: 0) && extent.upperBound <= Timestamp(milliseconds: 9 * 3_600_000))
        #expect(extent.lowerBound >= .earliest)
        let roller = Roller(store: store, logger: quiet)
        try await roller.finish()
        #expect(
            try await QueryEngine(store: store, cache: MemoryCache(), gate: QueryGate()).counts(CountQuery(project: "p")).counts.total == 1
        )
    }

    @Test("SQLite: data that is no JSON is an error where a scan reads it")
    func sqliteData() async throws {
        try await withSQLite { store, file async throws in
            try await store.add([stored("a", data: #"{"a":1}"#)])
            try await file.write { try $0.execute(sql: #"UPDATE events SET data = '{"a":1'"#) }
            let (selection, range) = (Selection(project: "p"), [noon..<noon + .seconds(1)])
            let paths = try ["data.a", "context.a"].map { try PropertyPath($0) }
            #expect(await code { _ = try await store.scan(selection, in: range, reading: [paths[0]]) } == .misconfigured)
            #expect(try await store.scan(selection, in: range, reading: [paths[1]]).map(\.values) == [[[]]])
        }
    }

    @Test("SQLite: a project's record that no service has written is an error")
    func sqliteRecords() async throws {
        try await withSQLite { store, file async throws in
            let origins = ["x", "[]]", "null", #"{"a":"b"}"#, #"["a",1]"#].map { ("origins", "'\($0)'") }
            let numbers: [(String, Int64)] = [
                ("watermark", .max), ("closedBefore", .min), ("changedAt", .max), ("retentionDays", -1), ("createdAt", .max),
                ("archivedAt", .min), ("requestsPerSecond", 0), ("requestsPerSecond", .max), ("eventsPerSecond", -1),
                ("eventsPerSecond", 10_000_001),
            ]
            let title = String(repeating: "t", count: ProjectRecord.longestTitle + 1)
            let values = numbers.map { ($0.0, "\($0.1)") } + origins
            for (column, value) in values + [("title", "'\(title)'")] {
                try await file.write {
                    try $0.execute(sql: "DELETE FROM projects; INSERT INTO projects (project, \(column)) VALUES ('p', \(value))")
                }
                #expect(await code { _ = try await store.projectRecords() } == .misconfigured, "\(column)")
                #expect(await code { _ = try await store.newestRecords(of: ["p"]) } == .misconfigured, "\(column)")
            }
        }
    }

    @Test("SQLite: a key that no service has written is an error, alone and in lists")
    func sqliteKeys() async throws {
        try await withSQLite { store, file async throws in
            let long = String(repeating: "n", count: StoredKey.longestName + 1)
            let damages = [
                "digest = x''", "digest = zeroblob(31)", "digest = zeroblob(32)", "digest = zeroblob(33)", "project = 'P!'",
                "project = ''", "scope = 'owner'", "scope = ''", "name = '\(long)'", "maker = '\(long)'", "prefix = '\(long)'",
                "createdAt = \(Int64.max)", "expiresAt = \(Int64.min)", "revokedAt = \(Int64.max)", "lastUsedAt = \(Int64.max)",
                "requestsPerSecond = 0", "eventsPerSecond = 10000001",
            ]
            for (number, damage) in damages.enumerated() {
                let key = storedKey(number)
                try await store.createKey(key)
                #expect(try await store.key(key.id) == key)
                try await file.write { try $0.execute(sql: "UPDATE keys SET \(damage)") }
                #expect(await code { _ = try await store.key(key.id) } == .misconfigured, "\(damage)")
                #expect(await code { _ = try await store.keys(of: nil) } == .misconfigured, "\(damage)")
                try await file.write { try $0.execute(sql: "DELETE FROM keys") }
            }
            #expect(try await store.isAnonymousAccessClosed(), "the latch is not in the keys")
        }
    }

    @Test("SQLite: a small record that no service has written is an error, alone, in lists and where it would be changed")
    func sqliteSmallRecords() async throws {
        try await withSQLite { store, file async throws in
            let long = String(repeating: "o", count: 65)
            let damages = [
                "id = ''", "id = 'A'", "id = 'a_b'", "id = CAST(x'61ff' AS TEXT)", "owner = 'P!'", "owner = '\(long)'", "revision = 0",
                "revision = -1", "expiresAt = \(Int64.max)", "expiresAt = \(Int64.min)", "body = zeroblob(65537)",
            ]
            for damage in damages {
                #expect(try await store.write(smallRecord("a", of: "o")))
                try await file.write { try $0.execute(sql: "UPDATE records SET \(damage)") }
                #expect(await code { _ = try await store.records(.account, of: nil, before: nil, limit: 9) } == .misconfigured, "\(damage)")
                // A damaged id is another one.
                if !damage.starts(with: "id") {
                    #expect(await code { _ = try await store.record(.account, "a") } == .misconfigured, "\(damage)")
                    #expect(await code { _ = try await store.write(smallRecord("a", revision: 9)) } == .misconfigured, "\(damage)")
                }
                try await file.write { try $0.execute(sql: "DELETE FROM records") }
            }
            #expect(try await store.write(smallRecord("a", expiresAt: noon)))
            try await file.write { try $0.execute(sql: "UPDATE records SET kind = 'other', body = zeroblob(65537)") }
            #expect(try await store.record(.account, "a") == nil)
            #expect(try await store.removeExpiredRecords(at: noon, limit: 9) == 1)
        }
    }

    @Test(
        "MongoDB: a small record that this service has not written is an error, alone, in lists and where it would be changed",
        .enabled(if: StoreBackend.available.contains(.mongodb)))
    func mongoSmallRecords() async throws {
        try await withMongoDatabase { store async throws in
            let long = BSON.string(String(repeating: "o", count: 65))
            // The first is none.
            let damages: [(String, BSON?)] = [
                ("owner", "o"), ("owner", nil), ("owner", 1), ("owner", "P!"), ("owner", long), ("revision", nil), ("revision", 0),
                ("revision", "1"), ("revision", .double(1.5)), ("expiresAt", BSON.null), ("expiresAt", 5),
                ("expiresAt", .date(Timestamp(milliseconds: .max))), ("body", nil), ("body", "{}"), ("body", ["a": 1]),
                ("body", .binary(Array(repeating: 32, count: 65_537))),
            ]
            for (number, damage) in damages.enumerated() {
                var fields: [(String, BSON)] = [
                    ("_id", Key.record(.account, "a")), ("owner", "o"), ("revision", 1), ("body", .binary([1])),
                ]
                fields.removeAll { $0.0 == damage.0 }
                if let value = damage.1 { fields.append((damage.0, value)) }
                try await store.insertRaw(.records, fields)
                let expected: StoreError.Code? = number == 0 ? nil : .misconfigured
                #expect(await code { _ = try await store.record(.account, "a") } == expected, "\(damage)")
                #expect(await code { _ = try await store.records(.account, of: nil, before: nil, limit: 9) } == expected, "\(damage)")
                #expect(await code { _ = try await store.write(smallRecord("a", revision: 9)) } == expected, "\(damage)")
                try await store.removeRecords(.account, ["a"])
            }
            #expect(try await store.record(.account, "a") == nil)
            try await store.insertRaw(
                .records, [("_id", Key.record(.account, "A")), ("owner", "o"), ("revision", 1), ("body", .binary([]))])
            #expect(await code { _ = try await store.record(.account, "A") } == .misconfigured)
            #expect(await code { _ = try await store.records(.account, of: "o", before: nil, limit: 9) } == .misconfigured)
            for (number, id) in (["x", ["kind": "other", "id": "a"], ["kind": "account"]] as [BSON]).enumerated() {
                try await store.insertRaw(.records, [("_id", id), ("expiresAt", .date(noon + .seconds(number)))])
            }
            #expect(try await store.write(smallRecord("a", expiresAt: noon + .seconds(9))))
            #expect(try await store.removeExpiredRecords(at: noon + .seconds(9), limit: 9) == 1, "others are passed over")
        }
    }

    @Test(
        "MongoDB: a key or a record that this service has not written is an error", .enabled(if: StoreBackend.available.contains(.mongodb)))
    func mongoKeys() async throws {
        try await withMongoDatabase { store async throws in
            let long = BSON.string(String(repeating: "n", count: StoredKey.longestName + 1))
            // The first is none.
            let damages: [(String, BSON?)] = [
                ("name", "a key"), ("digest", nil), ("digest", "text"), ("digest", .binary([1])),
                ("digest", .binary(storedKey(999).digest.bytes)),
                ("project", nil), ("project", "P!"), ("scope", nil), ("scope", "owner"), ("scope", 1), ("name", nil), ("name", long),
                ("prefix", nil), ("prefix", long), ("maker", 1), ("maker", long), ("createdAt", nil), ("createdAt", 5),
                ("expiresAt", BSON.null), ("revokedAt", "now"), ("lastUsedAt", .date(Timestamp(milliseconds: .max))),
                ("requestsPerSecond", 0), ("eventsPerSecond", "1"),
            ]
            for (number, damage) in damages.enumerated() {
                let key = storedKey(number)
                var fields: [(String, BSON)] = [
                    ("_id", .string(key.id)), ("digest", .binary(key.digest.bytes)), ("project", "p"), ("scope", "write"),
                    ("name", .string(key.name)), ("prefix", .string(key.prefix)), ("maker", .string(key.maker)), ("createdAt", .date(noon)),
                ]
                fields.removeAll { $0.0 == damage.0 }
                if let value = damage.1 { fields.append((damage.0, value)) }
                try await store.insertRaw(.keys, fields)
                if number == 0 {
                    #expect(try await store.key(key.id) == key)
                } else {
                    #expect(await code { _ = try await store.key(key.id) } == .misconfigured, "\(damage)")
                }
            }
            #expect(await code { _ = try await store.keys(of: nil) } == .misconfigured)
            #expect(try await store.isAnonymousAccessClosed() == false)
            try await store.insertRaw(.meta, [("_id", "anonymousAccessClosed"), ("at", "never")])
            #expect(try await store.isAnonymousAccessClosed())

            let settings: [(String, BSON)] = [
                ("title", 1), ("title", .string(String(repeating: "t", count: ProjectRecord.longestTitle + 1))), ("createdAt", 1),
                ("archivedAt", .null), ("origins", "a"), ("origins", [1]), ("requestsPerSecond", 0), ("requestsPerSecond", "1"),
                ("eventsPerSecond", 10_000_001), ("eventsPerSecond", .double(1.5)),
            ]
            for (number, setting) in settings.enumerated() {
                let project: ProjectID = "p\(number)"
                try await store.insertRaw(.projects, [("_id", .string(project.name)), setting])
                #expect(await code { _ = try await store.newestRecords(of: [project]) } == .misconfigured, "\(setting)")
            }
        }
    }

    @Test(
        "MongoDB: what this service has not written is an error of the store, in every operation that reads it",
        .enabled(if: StoreBackend.available.contains(.mongodb)))
    func mongoDocuments() async throws {
        try await withMongoDatabase { store async throws in
            try await store.insertRaw(.events, [("_id", Key.event("p", "a")), ("type", 5), ("source", "s"), ("timestamp", .date(noon))])
            try await store.insertRaw(.minutes, [("_id", Key.bucket(.minute, key(noon.minute))), ("v", "x"), ("done", 0), ("dirty", true)])
            try await store.insertRaw(.days, [("_id", Key.bucket(.day, key(noon.day))), ("v", .integer(.max))])
            try await store.insertRaw(.days, [("_id", Key.bucket(.day, key(noon.day + 1))), ("v", .integer(.max))])
            let range = noon..<noon + .seconds(60)
            try await store.insertRaw(.projects, [("_id", "p"), ("watermark", .date(Timestamp(milliseconds: .max)))])
            try await store.insertRaw(.projects, [("_id", "q"), ("retentionDays", "7")])
            #expect(await code { _ = try await store.newestRecords(of: ["p"]) } == .misconfigured)
            #expect(await code { _ = try await store.newestRecords(of: ["q"]) } == .misconfigured)
            #expect(await code { _ = try await store.event(project: "p", id: "a") } == .misconfigured)
            #expect(await code { _ = try await store.events(matching: Selection(project: "p"), after: nil, limit: 5) } == .misconfigured)
            #expect(await code { _ = try await store.countEvents(project: "p", in: [range]) } == .misconfigured)
            #expect(await code { _ = try await store.scan(Selection(project: "p"), in: [range]) } == .misconfigured)
            #expect(await code { _ = try await store.rollup(.minute, key(noon.minute)) } == .misconfigured)
            #expect(await code { _ = try await store.dirtyBuckets(.minute, after: nil, limit: 5) } == .misconfigured)
            // Begins between two hours: taken for one of them it would be there twice.
            let unaligned: BSON = ["project": "p", "hour": .date(noon + .milliseconds(1))]
            try await store.insertRaw(.hours, [("_id", unaligned), ("v", 1), ("done", 0), ("dirty", true), ("groups", .binary([]))])
            #expect(await code { _ = try await store.rollup(.hour, key(noon.hour)) } == .misconfigured)
            #expect(await code { _ = try await store.dirtyBuckets(.hour, after: nil, limit: 5) } == .misconfigured)
            #expect(await code { _ = try await store.generation(project: "p", days: noon.day..<noon.day + 2) } == .misconfigured)
        }
    }
}

extension MongoStore {
    fileprivate func insertRaw(_ collection: CollectionName, _ fields: [(String, BSON)]) async throws {
        _ = try await run(.prepare) { session throws(StoreError) in
            try session.bulk(collection) { bulk throws(StoreError) in try bulk.insert(session.encode(fields)) }.inserted
        }
    }
}

/// Minutes with a count each that three of cannot be added up, as no adapter gives them.
private struct EndlessStore: RollupStore, ProjectStore, EventScanner, SegmentStore, ProofStore {
    var count: Int64

    func rollups(
        _ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>], byteLimit: Int, content: BucketContent
    ) async throws(StoreError) -> RollupPage {
        guard tier == .minute else { return RollupPage(rollups: []) }
        return RollupPage(
            rollups: ranges.flatMap { $0 }.map { minute in
                // Groups of an earlier version, which this one would not write.
                let groups = [RollupGroup(type: "t\(minute % 2)", source: "s", count: count)]
                return Rollup(key: key(minute), version: 1, done: 1, dirty: false, table: GroupTable(earlier: groups))
            })
    }

    func generation(project: ProjectID, days: Range<Int64>) async throws(StoreError) -> Int64 { 1 }
    func mark(_ tier: RollupTier, _ marks: [BucketMark]) async throws(StoreError) {}
    func dirtyBuckets(_ tier: RollupTier, after key: BucketKey?, limit: Int) async throws(StoreError) -> [BucketVersion] { [] }
    func countEvents<Reducer: CountReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: Reducer
    ) async throws(StoreError) -> Reducer { reducer }
    func scanEvents<Reducer: EventScanReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], reading paths: [PropertyPath], into reducer: Reducer
    ) async throws(StoreError) -> Reducer { reducer }
    func roll(_ tier: RollupTier, _ buckets: [RolledBucket]) async throws(StoreError) -> Int { 0 }
    func fillReceived(_ tier: RollupTier, _ buckets: [Rollup]) async throws(StoreError) {}
    func extent(project: ProjectID) async throws(StoreError) -> Range<Timestamp>? { nil }
    func projects() async throws(StoreError) -> [ProjectID] { [] }
    func unmark(_ tier: RollupTier, _ buckets: [BucketVersion]) async throws(StoreError) {}
    func projectRecords() async throws(StoreError) -> [ProjectRecord] { [] }
    func newestRecords(of projects: [ProjectID]) async throws(StoreError) -> [ProjectRecord] { [] }
    func createRecord(of project: ProjectID, retentionDays: Int, at time: Timestamp) async throws(StoreError) {}
    func setRetention(of project: ProjectID, days: Int, at time: Timestamp) async throws(StoreError) {}
    func versions(_ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>]) async throws(StoreError) -> [Int64: Int64] { [:] }
    func minuteStamp(_ minute: BucketKey) async throws(StoreError) -> MinuteStamp? { nil }
    func histories(project: ProjectID, minutes: [Range<Int64>]) async throws(StoreError) -> [BucketHistory] { [] }
    func proofKey(orElse draft: [UInt8]) async throws(StoreError) -> [UInt8] { draft }
    func segmentHeads(of project: ProjectID, days: [Range<Int64>]) async throws(StoreError) -> [StoredSegmentHead] { [] }
    func segmentRevisions(of project: ProjectID) async throws(StoreError) -> [Int64: Int64] { [:] }
    func writeSegmentHead(_ head: StoredSegmentHead, replacing revision: Int64) async throws(StoreError) -> Bool { false }
    func writeSegmentBlobs(_ blobs: [SegmentBlob]) async throws(StoreError) {}
    func segmentBlobs(_ keys: [SegmentBlob.Key]) async throws(StoreError) -> [[UInt8]?] { keys.map { _ in nil } }
    func deleteSegmentBlobs(of project: ProjectID, day: Int64, run: Int64) async throws(StoreError) {}
    func deleteSegments(of project: ProjectID, before day: Int64) async throws(StoreError) -> Int { 0 }
    func setVisitorIds(of project: ProjectID, to isOn: Bool) async throws(StoreError) {}
    func createProject(_ project: ProjectID, at time: Timestamp) async throws(StoreError) -> Bool { false }
    func setTitle(of project: ProjectID, to title: String) async throws(StoreError) {}
    func setArchived(of project: ProjectID, at time: Timestamp?) async throws(StoreError) {}
    func setOrigins(of project: ProjectID, to origins: [String]) async throws(StoreError) {}
    func setRates(of project: ProjectID, to rates: ProjectRates) async throws(StoreError) {}
    func setProperties(of project: ProjectID, to paths: [PropertyPath]) async throws(StoreError) {}
    func setTimeZone(of project: ProjectID, to zone: ZoneName) async throws(StoreError) {}
    func close(_ project: ProjectID, before time: Timestamp) async throws(StoreError) {}
    func raiseWatermark(of project: ProjectID, to time: Timestamp) async throws(StoreError) {}
    func deleteExpiredEvents(of project: ProjectID, limit: Int) async throws(StoreError) -> Int { 0 }
}
