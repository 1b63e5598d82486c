import AnalyticsCore
import Foundation
import Synchronization
import Testing

@testable import AnalyticsMongoDB

@Suite("MongoDB: clients and their threads", .enabled(if: mongoURI != nil), .timeLimit(.minutes(1)))
struct ClientPoolTests {
    /// Nobody waits for it any more, and the thread is the next one's.
    @Test("An operation that gets its thread after its deadline does not begin, and the next one does")
    func doesNotBeginLate() async throws {
        let settings = try ConnectionSettings(mongoURI ?? "", database: "client_pool")
        let pool = try ClientPool(settings, size: 1, limits: settings.limits)
        let begun = Atomic(0)
        let error = await #expect(throws: StoreError.self) {
            try await Deadline.within(.zero) { () throws(StoreError) in
                try await pool.run("late") { _ in _ = begun.add(1, ordering: .relaxed) }
            }
        }
        #expect(error?.code == .unavailable && error?.message == "waited too long for a thread")
        try await pool.run("in time") { _ in _ = begun.add(10, ordering: .relaxed) }
        #expect(begun.load(ordering: .relaxed) == 10)
        await pool.shutdown()
    }
}

private let mongoURI = ProcessInfo.processInfo.environment["TEST_MONGODB_URI"]
