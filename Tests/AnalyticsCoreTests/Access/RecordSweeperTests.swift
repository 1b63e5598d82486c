import ServiceLifecycle
import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(2)))
struct RecordSweeperTests {
    private let store = MemoryStore()
    private let clock = ManualClock()
    private let log = RecordedLog()

    private var sweeper: RecordSweeper {
        RecordSweeper(store: store, clock: clock.wall, elapsed: clock.elapsed, logger: log.logger)
    }

    private func fill(_ count: Int, _ prefix: String, expiresAt: Timestamp?) async throws {
        for number in 0..<count {
            _ = try await store.write(Record(kind: .session, id: "\(prefix)-\(number)", expiresAt: expiresAt, body: []))
        }
    }

    /// An entry of the audit log, an hour later.
    private func tell() async throws {
        clock.advance(by: .seconds(3_600))
        try await AuditLog(store: store, clock: clock.wall, ids: .counting("e")).record(.signIn, by: .administrator, from: nil)
    }

    private func left() async throws -> [String] { try await store.records(.session, of: nil, before: nil, limit: 9).map(\.id) }

    @Test func removesWhatHasExpiredAThousandAtATime() async throws {
        try await tell()
        let now = clock.wall.now()
        try await fill(2_500, "expired", expiresAt: now)
        try await fill(2, "lasting", expiresAt: now + .milliseconds(1))
        try await fill(1, "ever", expiresAt: nil)
        let attempts = store.faults.attempts(at: .record)
        try await sweeper.sweep()
        #expect(attempts.value == 3)
        #expect(try await left() == ["lasting-1", "lasting-0", "ever-0"])
    }

    @Test func aClockThatIsFarAheadRemovesNothingThatLasted() async throws {
        try await fill(1, "expired", expiresAt: noon)
        try await fill(1, "lasting", expiresAt: noon + .seconds(7_200))
        clock.advance(by: .seconds(10_000 * 86_400))
        try await sweeper.sweep()
        #expect(try await left().count == 2, "nothing says what time it is")
        let entry = AuditEntry(id: "e", time: noon + .seconds(3_600), actor: "administrator", action: .signIn)
        _ = try await store.write(try entry.record(expiresAt: entry.time + AuditLog.kept))
        try await sweeper.sweep()
        #expect(try await left() == ["lasting-0"])
        #expect(try await store.record(.audit, "e") != nil)
    }

    @Test func sweepsAtTheStartAndEveryHourAndWarnsOfNoFailure() async throws {
        try await fill(3, "expired", expiresAt: noon)
        try await tell()
        store.faults.down([.record])
        try await testGracefulShutdown { trigger in
            let own = sweeper
            let task = Task { try await own.run() }
            try await eventually("it waits") { clock.sleeping.count == 1 }
            #expect(log.texts.count == 1 && log.contains("Expired records are not removed yet") && log.warnings.isEmpty)
            let pause = try #require(clock.sleeping.first)
            #expect((Duration.seconds(2_700)...Duration.seconds(4_500)).contains(pause))
            store.faults.down([])
            clock.advance(by: pause)
            try await eventually("they are removed") { try await left().isEmpty }
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
        #expect(log.texts.count == 1)
    }
}
