import Testing

@testable import AnalyticsEmbedded

@Suite("SQLite queue: health")
struct SQLiteQueueHealthTests {
    private let start = ContinuousClock.now

    @Test("Trouble is logged where it begins and where it ends")
    func logsOnce() {
        var health = SQLiteQueueHealth()
        let lines = [
            health.failed(.append, "full", at: start), health.failed(.append, "full", at: start + .seconds(60)),
            health.succeeded(.append), health.succeeded(.append),
        ]
        #expect(lines == [true, false, true, false])
        #expect(health.failure == nil)
    }

    @Test("One kind of write that succeeds does not hide that the other fails")
    func keepsKindsApart() {
        var health = SQLiteQueueHealth()
        let began = health.failed(.append, "full", at: start)
        let ended = health.succeeded(.settle)
        #expect(began && !ended)
        #expect(health.failure == "full")
    }

    @Test("Trouble that comes and goes is logged every ten seconds")
    func staysQuiet() {
        var health = SQLiteQueueHealth()
        var lines = 0
        for second in 0..<30 {
            if health.failed(.append, "full", at: start + .seconds(second)) { lines += 1 }
            _ = health.succeeded(.append)
        }
        #expect(lines == 3)
    }
}
