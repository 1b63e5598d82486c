import Synchronization
import Testing

@testable import AnalyticsCore

/// A clock whose sleeps take no time.
private final class FakeClock: Clock, Sendable {
    private let offset = Mutex(Duration.zero)
    private let onSleep: @Sendable (Int) async -> Void
    private let sleeps = Counting()

    init(onSleep: @escaping @Sendable (Int) async -> Void = { _ in }) {
        self.onSleep = onSleep
    }

    var now: FakeInstant { FakeInstant(offset: offset.withLock { $0 }) }
    var minimumResolution: Duration { .nanoseconds(1) }

    func sleep(until deadline: FakeInstant, tolerance: Duration?) async throws {
        try Task.checkCancellation()
        await onSleep(sleeps.next())
        offset.withLock { $0 = max($0, deadline.offset) }
    }
}

@Suite(.timeLimit(.minutes(5)))
struct StoredWaitTests {
    private let store = MemoryStore()

    private func accepted(_ event: Event, index: Int = 0) -> AcceptedEvent {
        AcceptedEvent(index: index, id: event.id, receipt: event.receipt, timestamp: event.timestamp)
    }

    private func wait(for events: [Event], timeout: Duration = .seconds(5), clock: FakeClock = FakeClock()) async -> StoredWait.Outcome {
        await StoredWait(store: store).wait(for: events.map { accepted($0) }, project: Project.default, timeout: timeout, clock: clock)
    }

    @Test func tellsStoredFromDuplicateFromPending() async throws {
        _ = try await store.insert([stored(sample("mine")), stored(sample("taken", receipt: "another:0"))])
        #expect(await wait(for: [sample("mine"), sample("taken"), sample("nowhere")]) == .init(stored: 1, duplicates: 1, pending: 1))
    }

    @Test func waitsUntilWhatIsComingIsThere() async throws {
        let store = store
        let clock = FakeClock { sleep in
            if sleep == 3 { _ = try? await store.insert([stored(sample("a"))]) }
            if sleep == 6 { _ = try? await store.insert([stored(sample("b"))]) }
        }
        #expect(await wait(for: [sample("a"), sample("b")], clock: clock) == .init(stored: 2))
        #expect(clock.now.offset < .seconds(1))
    }

    @Test func whatItSaysIsStoredIsCountedThoughItsFlushHasNotMarkedYet() async throws {
        _ = try await store.insert([stored(sample("a"))])
        #expect(await wait(for: [sample("a")]) == .init(stored: 1))
        let query = CountQuery(project: Project.default, from: noon, to: noon + .seconds(3_600))
        #expect(try await EventCounter(store: store, cache: MemoryCache()).counts(query).counts.total == 1)
    }

    @Test func givesUpWhenTheTimeIsUp() async throws {
        let clock = FakeClock()
        #expect(await wait(for: [sample("a")], timeout: .seconds(2), clock: clock) == .init(pending: 1))
        #expect(clock.now.offset <= .seconds(2) && clock.now.offset > .seconds(1))
        #expect(await wait(for: [], timeout: .zero) == .init())
    }

    @Test(arguments: [Faults.Step.read, .markMinute, .markHour, .bump])
    func aStoreThatIsAwayIsPendingAndNoError(step: Faults.Step) async throws {
        _ = try await store.insert([stored(sample("a"))])
        store.faults.away([step])
        #expect(await wait(for: [sample("a")]) == .init(pending: 1))
        store.faults.away([])
        #expect(await wait(for: [sample("a")]) == .init(stored: 1))
    }

    @Test func endsWhenItsCallerIsGone() async {
        let store = store
        let task = Task {
            await StoredWait(store: store).wait(for: [accepted(sample("a"))], project: Project.default, timeout: .seconds(600))
        }
        task.cancel()
        #expect(await task.value == .init(pending: 1))
    }
}
