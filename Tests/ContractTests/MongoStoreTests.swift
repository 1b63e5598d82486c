import AnalyticsCore
import AnalyticsJSON
import Foundation
import TestSupport
import Testing

@testable import AnalyticsMongoDB

/// What only the MongoDB store has to get right, on a real server.
@Suite("MongoDB store", .enabled(if: ProcessInfo.processInfo.environment["TEST_MONGODB_URI"] != nil))
struct MongoStoreTests {
    @Test("counting reads an index and no document, for one range and for many")
    func covered() async throws {
        try await withMongoDatabase { store async throws in
            try await store.add(
                (0..<300).map { stored("\($0)", type: "t\($0 % 3)", at: noon + .seconds($0), isBot: $0.isMultiple(of: 4)) })
            let start = noon.milliseconds
            let selections = [
                Selection(project: "p"), Selection(project: "p", includesBots: false),
                Selection(project: "p", types: ["t1"], sources: ["web", "app"]),
            ]
            let cases = [[start..<start + 60_000], (0..<20).map { start + $0 * 10_000..<start + $0 * 10_000 + 5_000 }]
            for (number, (ranges, selection)) in cases.flatMap({ ranges in selections.map { (ranges, $0) } }).enumerated() {
                let pipeline = Counting.pipeline(selection, ranges[...], isByReceipt: number.isMultiple(of: 2))
                let plan = try await store.explain(
                    .events,
                    [
                        ("aggregate", "events"), ("pipeline", .array(pipeline)), ("cursor", [:]),
                        ("hint", .string(Index.byTime)),
                    ])
                #expect(plan.examined("totalDocsExamined") == 0)
                #expect((1..<300).contains(plan.examined("totalKeysExamined")))
                #expect(!plan.stages.contains("COLLSCAN"))
            }
        }
    }

    @Test("events are compressed with zstd, each of their indexes with snappy")
    func compression() async throws {
        try await withMongoDatabase { store async throws in
            let creation = try await store.run(.prepare) { session throws(StoreError) in
                try session.command([("collStats", "events"), ("indexDetails", true)], writes: false) { reply in
                    let indexes = reply["indexDetails"]?.document.map { $0.compactMap(\.document) } ?? []
                    return ([reply["wiredTiger"]?.document].compactMap(\.self) + indexes).map { $0["creationString"]?.string ?? "" }
                }
            }
            #expect(creation.count == 1 + 1 + Index.ofEvents.count)
            #expect(creation[0].contains("block_compressor=zstd"))
            #expect(creation.dropFirst().allSatisfy { $0.contains("block_compressor=snappy") })
        }
    }

    @Test("a collection of events that is there stays as it is, and a server that knows no such compression gets one without")
    func plain() async throws {
        try await withMongoDatabase { store async throws in
            let (again, elsewhere) = try await store.run(.prepare) { session throws(StoreError) in
                let again = try session.createEvents()
                try session.command([("drop", "events")], writes: true) { _ in }
                let elsewhere = try session.createEvents([("storageEngine", ["another": ["configString": "block_compressor=zstd"]])])
                try session.createIndexes()
                return (again, elsewhere)
            }
            #expect(again && !elsewhere)
            try await store.add([stored("1", type: "t", at: noon)])
        }
    }

    @Test("indexes that take longer to build than an operation may last are waited for, and that is told", .timeLimit(.minutes(3)))
    func slowIndexes() async throws {
        try await withMongoDatabase { store async throws in
            let database = try await store.run(.prepare) { session throws(StoreError) in
                try session.command([("dropIndexes", "events"), ("index", "*")], writes: true) { _ in }
                for first in stride(from: 0, to: 150_000, by: 10_000) {
                    _ = try session.bulk(.events) { bulk throws(StoreError) in
                        for number in first..<first + 10_000 {
                            try bulk.insert(
                                session.encode([
                                    ("_id", Key.event("p", "\(number)")), ("type", .string("t\(number % 50)")), ("source", "web"),
                                    ("userId", .string("u\(number % 5_000)")),
                                    ("timestamp", .date(noon + .milliseconds(number * 7_919 % 90_000_000))),
                                ]))
                        }
                    }
                }
                return session.database
            }
            let uri = try #require(ProcessInfo.processInfo.environment["TEST_MONGODB_URI"])
            let log = RecordedLog()
            let hasty = try MongoStore(
                uri: uri + (uri.contains("?") ? "&" : "/?") + "socketTimeoutMS=200", database: database, poolSize: 1, logger: log.logger)
            let result: Result<Void, any Error>
            do { result = .success(try await hasty.prepare()) } catch { result = .failure(error) }
            await hasty.shutdown()
            try result.get()
            #expect(log.contains("Waiting while the server builds indexes") && log.contains(Index.byTime))
            let names = try await store.run(.prepare) { session throws(StoreError) in
                var names: Set<String> = []
                try session.indexes(of: .events) { index in names.insert(index["name"]?.string ?? "") }
                return names
            }
            #expect(names.isSuperset(of: [Index.byTime, Index.byType, Index.byUser, Index.byCorrelation]))
        }
    }

    @Test("a page of a listing examines what it gives, and little more", arguments: [false, true])
    func listing(continued: Bool) async throws {
        try await withMongoDatabase { store async throws in
            try await store.add(
                (0..<2000).map { index in
                    let user = index.isMultiple(of: 2) ? "u\(index % 20)" : nil
                    return stored("\(index)", type: "t\(index % 10)", at: noon + .milliseconds(index / 4), userId: user)
                })
            let position = continued ? EventPosition(timestamp: noon + .milliseconds(250), id: "1001") : nil
            let filters = [
                Selection(project: "p"), Selection(project: "p", types: ["t1", "t3"]), Selection(project: "p", userIds: ["u4"]),
                Selection(project: "p", from: noon + .milliseconds(100), to: noon + .milliseconds(300)),
            ]
            for filter in filters {
                for segment in try #require(EventQuery.segments(filter, after: position)) {
                    let plan = try await store.explain(
                        .events,
                        [
                            ("find", "events"), ("filter", .document(segment)), ("limit", 20),
                            ("sort", ["timestamp": -1, "_id.id": -1]),
                        ])
                    #expect(plan.examined("totalDocsExamined") <= 20)
                    #expect(plan.examined("totalKeysExamined") <= 50)
                    #expect(!plan.stages.contains("SORT"))
                }
            }
        }
    }

    @Test("the roller finds marked buckets by an index that holds those alone")
    func marked() async throws {
        try await withMongoDatabase { store async throws in
            try await store.mark(.minute, (0..<500).map { key($0) })
            _ = try await store.roll(.minute, (0..<490).map { RolledBucket(key: key($0), version: 1, groups: []) })
            let plan = try await store.explain(
                .minutes,
                [
                    ("find", "minutes"), ("filter", ["dirty": true]), ("sort", ["_id": 1]), ("hint", .string(Index.marked)),
                ])
            #expect(plan.examined("totalKeysExamined") == 10)
            #expect(!plan.stages.contains("SORT"))
        }
    }

    @Test("a page of small records, and those that have expired, are found by an index, which holds no others")
    func smallRecords() async throws {
        try await withMongoDatabase { store async throws in
            for number in 0..<90 {
                let expiresAt = number.isMultiple(of: 3) ? nil : noon + .seconds(number)
                let record = smallRecord("n\(number + 10)", kind: .session, of: "a\(number % 2)", expiresAt: expiresAt)
                #expect(try await store.write(record))
            }
            let queries = [
                RecordQuery(.session, of: "a1", before: nil, limit: 10), RecordQuery(.session, of: "a1", before: "n80", limit: 10),
                RecordQuery(.session, of: nil, before: "n80", limit: 10), RecordQuery(expiredAt: noon + .seconds(60), limit: 10),
            ]
            for query in queries {
                let plan = try await store.explain(.records, [("find", "records"), ("filter", .document(query.filter))] + query.options)
                #expect(plan.examined("nReturned") == 10)
                #expect(plan.examined("totalKeysExamined") <= 11 && plan.examined("totalDocsExamined") <= 11)
                #expect(!plan.stages.contains("SORT") && !plan.stages.contains("COLLSCAN"))
            }
        }
    }

    @Test("an import that is run again, and again with something new in it")
    func again() async throws {
        try await withMongoDatabase { store async throws in
            let events = (0..<2500).map { stored("\($0)") }
            try await store.add(events)
            for _ in 0..<2 {
                #expect(try await store.insert(events) == Array(repeating: .redelivered, count: 2500))
            }
            let more = events.prefix(2000) + [stored("0", ingestID: "x"), stored("1", ingestID: "x", fingerprint: 2), stored("new")]
            #expect(
                try await store.insert(Array(more)).suffix(4) == [.redelivered, .duplicate(heldAt: noon), .conflict(heldAt: noon), .stored])
            #expect(try await store.insert([stored("newer")]) == [.stored])
            #expect(try await store.ids(Selection(project: "p"), pagesOf: 1000).count == 2502)
        }
    }

    @Test("a duplicate key of another unique index is no duplicate event")
    func otherUniqueIndex() async throws {
        try await withMongoDatabase { store async throws in
            try await store.run(.prepare) { session throws(StoreError) in
                let index: BSON = ["name": "extra", "key": ["receipt": 1], "unique": true]
                try session.command([("createIndexes", "events"), ("indexes", [index])], writes: true) { _ in }
            }
            try await store.add([stored("a", ingestID: "r")])
            let outcomes = try await store.insert([stored("b", ingestID: "r"), stored("c"), stored("a", ingestID: "r")])
            guard case .refused(let reason) = outcomes[0] else { throw UnexpectedOutcome(outcome: outcomes[0]) }
            #expect(reason.contains("extra"))
            #expect(outcomes[1...] == [.stored, .redelivered])
        }
    }

    @Test("a document that the server refuses is refused alone")
    func refusedByServer() async throws {
        try await withMongoDatabase { store async throws in
            try await store.run(.prepare) { session throws(StoreError) in
                let rule: BSON = ["type": ["$ne": "bad"]]
                try session.command([("collMod", "events"), ("validator", rule)], writes: true) { _ in }
            }
            let outcomes = try await store.insert([stored("a"), stored("b", type: "bad"), stored("c")])
            #expect(outcomes[0] == .stored && outcomes[2] == .stored)
            guard case .refused = outcomes[1] else { throw UnexpectedOutcome(outcome: outcomes[1]) }
        }
    }

    @Test("an event that no document can hold is refused alone")
    func tooLarge() async throws {
        try await withMongoDatabase { store async throws in
            let huge = "\"" + String(repeating: "x", count: 17_000_000) + "\""
            let deep = String(repeating: "[", count: 150) + String(repeating: "]", count: 150)
            let outcomes = try await store.insert([stored("a", data: huge), stored("b"), stored("c", data: deep)])
            #expect(outcomes[1] == .stored)
            for outcome in [outcomes[0], outcomes[2]] {
                guard case .refused = outcome else { throw UnexpectedOutcome(outcome: outcome) }
            }
        }
    }

    @Test("a call larger than a message of the server's is sent in parts")
    func largeCall() async throws {
        try await withMongoDatabase { store async throws in
            let text = "\"" + String(repeating: "x", count: 250_000) + "\""
            let events = (0..<220).map { stored("\($0)", data: text) }
            let outcomes = try await store.insert(events)
            #expect(outcomes == Array(repeating: .stored, count: 220))
        }
    }

    @Test("data that looks like a database reference is kept as it is")
    func references() async throws {
        try await withMongoDatabase { store async throws in
            let texts = [#"{"$ref":1}"#, #"{"$id":{"$db":null}}"#, #"{"$db":"x","$ref":"y","$id":1}"#, #"{"a":[{"$ref":"x"}]}"#]
            try await store.add(texts.enumerated().map { stored("\($0)", data: $1) })
            for (index, text) in texts.enumerated() {
                #expect(try await store.event(project: "p", id: "\(index)")?.event.data?.text == text)
            }
        }
    }

    @Test("several processes prepare the same database at once")
    func preparing() async throws {
        try await withMongoDatabase { store async throws in
            try await store.dropDatabase()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { try await store.prepare() } }
                try await group.waitForAll()
            }
        }
    }

    @Test("marks of old and new buckets in one call, and of the same one twice")
    func mixedMarks() async throws {
        try await withMongoDatabase { store async throws in
            try await store.mark(.minute, (0..<100).map { key($0 * 2) })
            try await store.mark(.minute, (0..<200).map { key($0) } + [key(3)])
            let versions = try await store.rollups(.minute, project: "p", in: [0..<200]).map(\.version)
            #expect(versions == (0..<200).map { $0.isMultiple(of: 2) ? 2 : 1 })
        }
    }

    @Test("rolls of more buckets and groups than one statement takes")
    func manyRolls() async throws {
        try await withMongoDatabase { store async throws in
            let keys = (0..<150).map { key($0, $0.isMultiple(of: 3) ? "p" : "q") }
            try await store.mark(.minute, keys)
            let long = String(repeating: "é", count: 200)
            let groups = (0..<200).map { RollupGroup(type: "\($0)\(long)", source: "\($0)\(long)", count: 1) }
            let rolled = keys.map { RolledBucket(key: $0, version: 1, groups: groups + [.init(type: "\($0)", source: "", count: 1)]) }
            #expect(try await store.roll(.minute, rolled) == 150)
            #expect(try await store.dirtyBuckets(.minute, after: nil, limit: 1).isEmpty)
            for (index, key) in keys.enumerated() where index.isMultiple(of: 17) {
                #expect(try await store.rollup(.minute, key)?.groups == (try rolled[index].table.groups()))
            }
        }
    }

    @Test("a store that is shut down says so")
    func shutDown() async throws {
        let uri = try #require(ProcessInfo.processInfo.environment["TEST_MONGODB_URI"])
        let store = try MongoStore(uri: uri, database: "test_none", poolSize: 1, logger: quiet)
        await store.shutdown()
        await store.shutdown()
        await #expect { try await store.event(project: "p", id: "a") } throws: { ($0 as? StoreError)?.code == .unavailable }
    }
}

/// What an explained command reports, wherever in the answer it stands.
private struct Plan: Sendable {
    var stages: [String] = []
    var numbers: [String: Int64] = [:]

    func examined(_ name: String) -> Int64 { numbers[name] ?? -1 }

    mutating func read(_ view: BSONView) {
        for element in view where element.key != "command" && element.key != "rejectedPlans" {
            if element.key == "stage", let stage = element.string { stages.append(stage) }
            if let number = element.integer, numbers[element.key] == nil { numbers[element.key] = number }
            if let document = element.document { read(document) }
        }
    }
}

extension MongoStore {
    fileprivate func explain(_ collection: CollectionName, _ command: [(String, BSON)]) async throws -> Plan {
        try await run(.prepare) { session throws(StoreError) in
            let explain: [(String, BSON)] = [("explain", .document(command)), ("verbosity", "executionStats")]
            return try session.command(explain, writes: false) { reply in
                var plan = Plan()
                plan.read(reply)
                return plan
            }
        }
    }
}
