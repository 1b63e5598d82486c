import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

/// One user where events are deleted.
@Suite struct UserProfileTests {
    private let store = MemoryStore()
    private let day = Duration.seconds(86_400)

    private func ask() async throws -> UserProfile {
        let engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        return try await engine.user(
            .userId("ann"), Selection(project: Project.default), AnswerAge(now: noon, limit: .zero), for: .staying
        ).answered.answer
    }

    private func fill() async throws {
        try await write(
            (0..<10).map { index in
                var event = sample("\(index)", at: noon - day * index)
                event.userId = "ann"
                return event
            }, to: store)
        try await roller(store).finish()
    }

    @Test func aUserIsToldFromTheFirstMomentThatIsStoredWhole() async throws {
        try await fill()
        #expect(try await ask().events == 10)
        try await store.raiseWatermark(of: Project.default, to: noon - day * 4 + .seconds(60))
        let profile = try await ask()
        #expect(profile.events == 4 && profile.first == noon - day * 3 && profile.last == noon)
    }

    @Test func aUserIsToldThoughEventsAreDeletedMeanwhile() async throws {
        try await fill()
        try await store.raiseWatermark(of: Project.default, to: noon - day * 8 + .seconds(60))
        let reads = Counting()
        let deletes = Mutex(Int.max)
        store.beforeRead { [store, day] operation async throws(StoreError) in
            guard operation == "scanEvents" || operation == "segmentHeads" || operation == "extent" else { return }
            guard reads.next() == deletes.withLock({ $0 }) else { return }
            try await store.raiseWatermark(of: Project.default, to: noon - day * 4 + .seconds(60))
        }
        #expect(try await ask().events == 8)
        // Before the last look of the next question, which is asked as this one was.
        deletes.withLock { $0 = reads.value * 2 }
        #expect(try await ask().events == 4)
        #expect(reads.value > deletes.withLock { $0 }, "it is read again")
    }
}
