import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

/// A clock whose sleeps take no time.
private final class FakeClock: Sendable {
    private let offset = Mutex(Duration.zero)
    private let onSleep: @Sendable (Int) async -> Void
    private let sleeps = Counting()

    init(onSleep: @escaping @Sendable (Int) async -> Void = { _ in }) {
        self.onSleep = onSleep
    }

    var elapsed: ElapsedClock {
        ElapsedClock(
            now: { self.offset.withLock { $0 } },
            sleep: { duration in
                try Task.checkCancellation()
                await self.onSleep(self.sleeps.next())
                self.offset.withLock { $0 += duration }
            })
    }
}

@Suite(.timeLimit(.minutes(5)))
struct StorageWaiterTests {
    private let store = MemoryStore()

    private func report(first: Int = 0, stored: Int = 0, duplicates: Int = 0, refused: Int = 0, request: String = "r") -> DeliveryReport {
        DeliveryReport(
            project: Project.default, request: request, first: first, stored: stored, duplicates: duplicates, refused: refused, at: noon)
    }

    private func wait(
        for indexes: some Sequence<Int>, timeout: Duration = .seconds(5), elapsed: ElapsedClock = FakeClock().elapsed
    ) async -> StorageWaiter.Outcome {
        let events = indexes.map { AcceptedEvent(index: $0, id: "e\($0)") }
        return await StorageWaiter(store: store).wait(for: events, of: "r", project: Project.default, timeout: timeout, elapsed: elapsed)
    }

    @Test func sumsWhatIsReportedOfEachDelivery() async throws {
        try await store.add([
            report(stored: 8, duplicates: 1, refused: 1), report(first: 10, stored: 3), report(stored: 99, request: "other"),
        ])
        #expect(await wait(for: 0..<14) == .init(stored: 11, duplicates: 1, refused: 1, pending: 1))
    }

    @Test func waitsUntilWhatIsComingIsThere() async throws {
        let clock = FakeClock { [store, self] sleep in
            if sleep == 3 { try? await store.add([report(stored: 2)]) }
            if sleep == 6 { try? await store.add([report(first: 2, stored: 1)]) }
        }
        #expect(await wait(for: 0..<3, elapsed: clock.elapsed) == .init(stored: 3))
        #expect(clock.elapsed.now() < .seconds(1))
    }

    @Test func doesNotCountDeliveriesThatWereNotConfirmedAndCameAllTheSame() async throws {
        try await store.add([report(stored: 100), report(first: 100, stored: 100)])
        #expect(await wait(for: 100..<200) == .init(stored: 100))
    }

    @Test func givesUpWhenTheTimeIsUp() async throws {
        let clock = FakeClock()
        #expect(await wait(for: 0..<1, timeout: .seconds(2), elapsed: clock.elapsed) == .init(pending: 1))
        #expect(clock.elapsed.now() <= .seconds(2) && clock.elapsed.now() > .seconds(1))
        #expect(await wait(for: [], timeout: .zero) == .init())
    }

    @Test func aStoreThatIsAwayIsPendingAndNoError() async throws {
        try await store.add([report(stored: 1)])
        store.faults.down([.read])
        #expect(await wait(for: 0..<1) == .init(pending: 1))
        store.faults.down([])
        #expect(await wait(for: 0..<1) == .init(stored: 1))
    }

    @Test func endsWhenItsCallerIsGone() async {
        let task = Task { await wait(for: 0..<1, timeout: .seconds(600), elapsed: .system) }
        task.cancel()
        #expect(await task.value == .init(pending: 1))
    }
}
