import AnalyticsCore
import Foundation
import TestSupport
import Testing

@testable import AnalyticsMongoDB

/// A server that says of queries that they take too long, or that it is no primary any more.
@Suite("MongoDB store: time limits", .enabled(if: mongodProgram != nil), .serialized, .timeLimit(.minutes(3)))
struct MongoTimeLimitTests {
    private static let maxTimeMSExpired: Int64 = 50
    private static let hours = [noon..<noon + .seconds(3 * 3600), noon + .seconds(4 * 3600 + 30)..<noon + .seconds(5 * 3600 + 1)]

    /// Many minutes at once are read event by event, some are grouped by the server.
    private static let counts = ["find", "aggregate"]
    private static let minutes = (0..<50).map { noon + .seconds($0 * 120 + 1)..<noon + .seconds($0 * 120 + 100) }

    @Test(
        "a count that runs into the server's limit is halved, and its halves come to the same", arguments: [hours, minutes],
        [1, 3, 11, 15] as [Int64])
    func halves(ranges: [Range<Timestamp>], times: Int64) async throws {
        try await withStore { store async throws in
            let expected = try await store.countEvents(project: "p", in: ranges)
            #expect(expected.flatMap(\.groups).reduce(0) { $0 + $1.count } == (ranges == Self.hours ? 479 : 150))
            try await store.failReads(Self.counts, code: Self.maxTimeMSExpired, mode: ["times": .integer(times)])
            #expect(try await store.countEvents(project: "p", in: ranges) == expected)
            #expect(try await store.endFailures() == times)
        }
    }

    @Test("a count that runs into the limit in the middle of its events goes on with the minute it was at", arguments: [1, 2, 3])
    func middle(times: Int64) async throws {
        try await withStore { store async throws in
            let expected = try await store.countEvents(project: "p", in: Self.hours)
            try await store.failReads(["getMore"], code: Self.maxTimeMSExpired, mode: ["times": .integer(times)])
            #expect(try await store.countEvents(project: "p", in: Self.hours) == expected)
            #expect(try await store.endFailures() > 0)
        }
    }

    @Test("a millisecond that is too much is told, and the count ends")
    func floor() async throws {
        try await withStore { store async throws in
            try await store.failReads(Self.counts, code: Self.maxTimeMSExpired, mode: "alwaysOn")
            let error = await #expect(throws: StoreError.self) { try await store.countEvents(project: "p", in: Self.hours) }
            #expect(error?.code == .timedOut && error?.message.contains("2026-03-01T12:00:00") == true, "\(String(describing: error))")
            #expect((20...30).contains(try await store.endFailures()))
        }
    }

    @Test("an election, a kill and a lost connection are passed on, and nothing is halved", arguments: [189, 11602, 11601, 6])
    func election(code: Int64) async throws {
        try await withStore { store async throws in
            try await store.failReads(Self.counts, code: code, mode: "alwaysOn")
            let error = await #expect(throws: StoreError.self) { try await store.countEvents(project: "p", in: Self.hours) }
            #expect(error?.code == .unavailable)
            // The driver tries some of them once more by itself.
            #expect((1...2).contains(try await store.endFailures()))
        }
    }

    private static let scanned = [
        noon - .seconds(1)..<noon + .seconds(16 * 3600), noon + .seconds(16 * 3600 + 1)..<noon + .seconds(20 * 3600),
    ]

    @Test(
        "a scan that runs into the server's limit goes on behind what it has given, and gives each event once",
        arguments: ["find", "getMore"], [1, 3, 11] as [Int64])
    func scans(command: String, times: Int64) async throws {
        try await withStore { store async throws in
            let selection = Selection(project: "p", types: ["é", "z", "Z"])
            let expected = try await store.scan(selection, in: Self.scanned)
            #expect(expected.count == 1_500)
            try await store.failReads([command], code: Self.maxTimeMSExpired, mode: ["times": .integer(times)])
            #expect(try await store.scan(selection, in: Self.scanned) == expected)
            #expect(try await store.endFailures() > 0)
        }
    }

    @Test("a scan of one moment whose every batch but the first fails goes on from batch to batch")
    func moment() async throws {
        try await withStore { store async throws in
            let moment = noon - .seconds(86_400)
            try await store.add((0..<2_500).map { stored("\($0)", project: "q", at: moment) })
            try await store.failReads(["getMore"], code: Self.maxTimeMSExpired, mode: "alwaysOn")
            for range in [moment..<moment + .milliseconds(1), moment - .seconds(7)..<moment + .seconds(9)] {
                let ids = try await store.scan(Selection(project: "q"), in: [range]).map(\.id)
                #expect(ids == (0..<2_500).map(String.init).sorted())
            }
            #expect(try await store.endFailures() >= 4)
        }
    }

    @Test("a scan whose every query fails ends at a millisecond, with an error that names it")
    func scanFloor() async throws {
        try await withStore { store async throws in
            try await store.failReads(["find"], code: Self.maxTimeMSExpired, mode: "alwaysOn")
            let error = await #expect(throws: StoreError.self) { try await store.scan(Selection(project: "p"), in: Self.scanned) }
            #expect(error?.code == .timedOut && error?.message.contains("2026-03-01T11:59:59") == true, "\(String(describing: error))")
            #expect((15...30).contains(try await store.endFailures()))
        }
    }

    @Test("a scan that fails otherwise ends at once", arguments: ["find", "getMore"])
    func scanElection(command: String) async throws {
        try await withStore { store async throws in
            try await store.failReads([command], code: 11602, mode: "alwaysOn")
            let error = await #expect(throws: StoreError.self) { try await store.scan(Selection(project: "p"), in: Self.scanned) }
            #expect(error?.code == .unavailable)
            // The driver looks for the server anew.
            #expect((1...2).contains(try await untilAvailable { try await store.endFailures() }))
        }
    }

    @Test("any other read that runs into the limit says so")
    func listing() async throws {
        try await withStore { store async throws in
            try await store.failReads(["find"], code: Self.maxTimeMSExpired, mode: "alwaysOn")
            let error = await #expect(throws: StoreError.self) { try await store.ids(Selection(project: "p")) }
            #expect(error?.code == .timedOut)
        }
    }

    @Test(
        "an export whose listings run into the server's limit is read in shorter ranges, and gives each event once",
        arguments: ["find", "getMore"], [1, 3, 11] as [Int64])
    func exports(command: String, times: Int64) async throws {
        try await withStore { store async throws in
            let selection = Selection(project: "p", types: ["é", "z", "Z"])
            var listed: [String] = []
            var position: EventPosition?
            while let last = try await store.events(matching: selection, after: position, limit: 400).map({ event in
                listed.append(event.event.id)
                return EventPosition(timestamp: event.event.timestamp, id: event.event.id)
            }).last { position = last }
            #expect(listed.count == 1_500)
            try await store.failReads([command], code: Self.maxTimeMSExpired, mode: ["times": .integer(times)])
            var export = EventReader(store: store, gate: QueryGate()).export(selection, after: nil, now: noon)
            var ids: [String] = []
            while let slice = try await export.next(for: .staying) { ids += slice.map(\.event.id) }
            #expect(ids == listed)
            #expect(try await store.endFailures() > 0)
        }
    }

    private func withStore(_ body: (MongoStore) async throws -> Void) async throws {
        try await withMongoServer(["--setParameter", "enableTestCommands=1"]) { server in
            let store = try MongoStore(uri: server.uri, poolSize: 2, logger: quiet)
            try await untilAvailable { try await store.prepare() }
            // Ten a minute for a while, from half a second before the range on, in groups of odd names.
            let events = (0..<2000).map { index in
                stored(
                    "\(index)", type: ["é", "e\u{301}", "z", "Z"][index % 4], source: "s\(index % 3)",
                    at: noon + .milliseconds(index * 30_000 - 500))
            }
            try await store.add(events)
            try await body(store)
            await store.shutdown()
        }
    }
}

extension MongoStore {
    fileprivate func failReads(_ commands: [String], code: Int64, mode: BSON) async throws {
        try await run(.prepare) { session throws(StoreError) in
            let data: BSON = ["failCommands": .array(commands.map(BSON.string)), "errorCode": .integer(code)]
            try session.command([("configureFailPoint", "failCommand"), ("mode", mode), ("data", data)], on: "admin", writes: false) { _ in
            }
        }
    }

    /// Returns how many commands failed.
    fileprivate func endFailures() async throws -> Int64 {
        try await run(.prepare) { session throws(StoreError) in
            try session.command([("configureFailPoint", "failCommand"), ("mode", "off")], on: "admin", writes: false) {
                $0["count"]?.integer ?? -1
            }
        }
    }
}
