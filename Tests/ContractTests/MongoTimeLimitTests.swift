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

    @Test("a count that runs into the server's limit is halved, and its halves come to the same", arguments: [1, 3, 11, 15])
    func halves(times: Int64) async throws {
        try await withStore { store async throws in
            let expected = try await store.countEvents(project: "p", in: Self.hours)
            #expect(expected.flatMap(\.groups).reduce(0) { $0 + $1.count } == 479)
            try await store.failAggregations(code: Self.maxTimeMSExpired, mode: ["times": .integer(times)])
            #expect(try await store.countEvents(project: "p", in: Self.hours) == expected)
            #expect(try await store.endFailures() == times)
        }
    }

    @Test("a millisecond that is too much is told, and the count ends")
    func floor() async throws {
        try await withStore { store async throws in
            try await store.failAggregations(code: Self.maxTimeMSExpired, mode: "alwaysOn")
            let error = await #expect(throws: StoreError.self) { try await store.countEvents(project: "p", in: Self.hours) }
            #expect(error?.code == .timedOut && error?.message.contains("2026-03-01T12:00:00") == true, "\(String(describing: error))")
            #expect((20...30).contains(try await store.endFailures()))
        }
    }

    @Test("an election, a kill and a lost connection are passed on, and nothing is halved", arguments: [189, 11602, 11601, 6])
    func election(code: Int64) async throws {
        try await withStore { store async throws in
            try await store.failAggregations(code: code, mode: "alwaysOn")
            let error = await #expect(throws: StoreError.self) { try await store.countEvents(project: "p", in: Self.hours) }
            #expect(error?.code == .unavailable)
            // The driver tries some of them once more by itself.
            #expect((1...2).contains(try await store.endFailures()))
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
    fileprivate func failAggregations(code: Int64, mode: BSON) async throws { try await failReads(["aggregate"], code: code, mode: mode) }

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
