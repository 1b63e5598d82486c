import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(2)))
struct AnonymousLatchTests {
    private let store = FakeKeyStore()
    private let clock = ManualClock()
    private let latch: AnonymousLatch

    init() {
        latch = AnonymousLatch(store: store, elapsed: clock.elapsed)
    }

    @Test func anOpenLatchIsReadOncePerSecond() async throws {
        for _ in 0..<10 { #expect(try await !latch.isClosed()) }
        #expect(store.latchReads == 1)
        clock.advance(by: .seconds(1) - .nanoseconds(1))
        #expect(try await !latch.isClosed())
        #expect(store.latchReads == 1)
        clock.advance(by: .nanoseconds(1))
        for _ in 0..<10 { #expect(try await !latch.isClosed()) }
        #expect(store.latchReads == 2)
    }

    @Test func theFirstKeyClosesItWithinASecondAndForEver() async throws {
        #expect(try await !latch.isClosed())
        let key = APIKey(project: "shop", scope: .write)
        try await store.createKey(StoredKey(key))
        clock.advance(by: .seconds(1))
        #expect(try await latch.isClosed())
        try await store.revokeKey(key.digest.keyID, at: noon)
        // What no store does, and a restored backup may.
        store.close(false)
        for _ in 0..<10 {
            clock.advance(by: .seconds(3_600))
            #expect(try await latch.isClosed())
        }
        store.down()
        #expect(try await latch.isClosed())
        #expect(store.latchReads == 2, "a closed latch is not read again")
    }

    @Test func withoutAValueAnUnreadableLatchIsAnErrorAndIsTriedOncePerSecond() async throws {
        store.down()
        for _ in 0..<10 { await #expect(throws: StoreError.self) { try await latch.isClosed() } }
        #expect(store.latchReads == 1)
        clock.advance(by: .seconds(1))
        await #expect(throws: StoreError.self) { try await latch.isClosed() }
        #expect(store.latchReads == 2)
        store.down(false)
        clock.advance(by: .seconds(1))
        #expect(try await !latch.isClosed())
    }

    @Test func theLastValueStaysWhileTheStoreIsDown() async throws {
        #expect(try await !latch.isClosed())
        store.down()
        for _ in 0..<100 {
            clock.advance(by: .seconds(60))
            #expect(try await !latch.isClosed())
        }
        store.close()
        store.down(false)
        clock.advance(by: .seconds(1))
        #expect(try await latch.isClosed())
    }

    @Test func allWhoAskShareOneRead() async throws {
        store.hang()
        let asking = Counting()
        let tasks = (0..<50).map { _ in
            Task {
                asking.next()
                return try await latch.isClosed()
            }
        }
        try await eventually("all ask") { asking.value == 50 && store.latchReads == 1 }
        store.close()
        store.release()
        for task in tasks { #expect(try await task.value) }
        #expect(store.latchReads == 1)
    }

    @Test func aStoreThatHangsHoldsNobodyForMoreThanTwoSeconds() async throws {
        store.hang()
        let first = Task { try await latch.isClosed() }
        try await eventually("it waits") { clock.sleeping == [.seconds(2)] }
        clock.advance(by: .seconds(2))
        await #expect(throws: StoreError.self) { try await first.value }
        clock.advance(by: .seconds(1))
        let second = Task { try await latch.isClosed() }
        try await eventually("it waits") { clock.sleeping == [.seconds(2)] }
        // One tries, the others do not wait for it.
        await #expect(throws: StoreError.self) { try await latch.isClosed() }
        store.release()
        #expect(try await !second.value)
    }
}
