import AnalyticsCore
import Foundation
import Glibc
import TestSupport
import Testing

@testable import AnalyticsMongoDB

/// A server that dies, hangs and comes back. It is the suite's own: `TEST_MONGOD` names the program.
@Suite("MongoDB store: outages", .enabled(if: mongodProgram != nil), .serialized)
struct MongoOutageTests {
    @Test("a killed server is unavailable within the limits, and what it acknowledged is there when it is back")
    func killed() async throws {
        try await withMongoServer { server in
            let store = try MongoStore(uri: server.uri, poolSize: 2, logger: quiet)
            try await untilAvailable { try await store.prepare() }
            try await store.add((0..<100).map { stored("\($0)") })
            try await store.mark(.minute, [key(1)])
            try server.kill()

            let clock = ContinuousClock()
            let calls: [@Sendable () async throws -> Void] = [
                { _ = try await store.insert([stored("x")]) }, { try await store.mark(.minute, [key(1)]) },
                { _ = try await store.event(project: "p", id: "1") }, { try await store.checkHealth() },
            ]
            for call in calls {
                let elapsed = await clock.measure {
                    await #expect { try await call() } throws: { ($0 as? StoreError)?.code == .unavailable }
                }
                #expect(elapsed < .seconds(20))
            }

            try server.start()
            try await untilAvailable { try await store.checkHealth() }
            try await untilAvailable {
                let outcomes = try await store.insert([stored("1"), stored("x")])
                // An answer may be lost, and the event be there.
                #expect(outcomes.first == .redelivered && [.stored, .redelivered].contains(outcomes.last))
            }
            #expect(try await store.ids(Selection(project: "p")).count == 101)
            #expect(try await store.rollup(.minute, key(1))?.version == 1)
            await store.shutdown()
        }
    }

    @Test("a server that hangs is unavailable within the limits, to a health check sooner; its late write does no harm")
    func hanging() async throws {
        try await withMongoServer { server in
            let store = try MongoStore(uri: server.uri + "/?socketTimeoutMS=3000", poolSize: 2, logger: quiet)
            try await untilAvailable { try await store.prepare() }
            try server.signal(SIGSTOP)
            let clock = ContinuousClock()
            let health = await clock.measure {
                await #expect { try await store.checkHealth() } throws: { ($0 as? StoreError)?.code == .unavailable }
            }
            #expect(health < .seconds(15))
            let insert = await clock.measure {
                await #expect { try await store.insert([stored("a")]) } throws: { ($0 as? StoreError)?.code == .unavailable }
            }
            #expect(insert < .seconds(30))
            try server.signal(SIGCONT)
            try await untilAvailable {
                let outcome = try await store.insert([stored("a")])
                #expect(outcome == [.stored] || outcome == [.redelivered])
            }
            #expect(try await store.ids(Selection(project: "p")) == ["a"])
            await store.shutdown()
        }
    }

    @Test("a server without a journal fails every insert as a whole, and no event is blamed")
    func withoutJournal() async throws {
        try await withMongoServer(["--nojournal"]) { server in
            let store = try MongoStore(uri: server.uri, poolSize: 2, logger: quiet)
            let events = (0..<3).map { stored("\($0)") }
            let deadline = ContinuousClock.now + .seconds(30)
            var failures: [StoreError] = []
            while failures.count < 6, ContinuousClock.now < deadline {
                do throws(StoreError) {
                    let outcomes = try await store.insert(events)
                    Issue.record("\(outcomes)")
                } catch {
                    if error.code != .unavailable { failures.append(error) }
                }
            }
            #expect(failures.count == 6 && failures.allSatisfy { $0.code == .refused }, "\(failures)")
            try server.kill()
            try server.start()
            try await untilAvailable {
                let outcomes = try await store.insert(events)
                #expect(outcomes.allSatisfy { $0 == .stored || $0 == .redelivered })
            }
            await store.shutdown()
        }
    }
}
