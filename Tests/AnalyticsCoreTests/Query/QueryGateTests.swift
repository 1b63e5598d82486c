import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

struct QueryGateTests {
    /// Bodies that end when they are told to.
    private final class Work: Sendable {
        private let state = Mutex((begun: [Int](), cancelled: [Int](), released: Set<Int>(), running: 0, most: 0))

        var begun: [Int] { state.withLock { $0.begun } }
        var cancelled: [Int] { state.withLock { $0.cancelled } }
        var most: Int { state.withLock { $0.most } }

        func release(_ number: Int) { state.withLock { _ = $0.released.insert(number) } }

        func callAsFunction(_ number: Int) async throws -> Int {
            state.withLock { state in
                state.begun.append(number)
                state.running += 1
                state.most = max(state.most, state.running)
            }
            defer { state.withLock { $0.running -= 1 } }
            while !state.withLock({ $0.released.contains(number) }) {
                do {
                    try await Task.sleep(for: .milliseconds(1))
                } catch {
                    state.withLock { $0.cancelled.append(number) }
                    throw error
                }
            }
            return number
        }
    }

    private let clock = ManualClock()
    private let work = Work()

    private func gate(concurrent: Int, waiting: Int) -> QueryGate {
        QueryGate(limits: .init(concurrent: concurrent, waiting: waiting, timeout: .seconds(30)), elapsed: clock.elapsed)
    }

    private func start(_ number: Int, _ gate: QueryGate) -> Task<Int, any Error> {
        Task { [work] in try await gate(for: "shop") { try await work(number) } }
    }

    /// A gate for one at a time and one that waits, with the works 0 and 1 in it.
    private func oneRunsAndOneWaits() async throws -> (QueryGate, first: Task<Int, any Error>, second: Task<Int, any Error>) {
        let gate = gate(concurrent: 1, waiting: 1)
        let first = start(0, gate)
        try await eventually("the first runs") { work.begun == [0] }
        let second = start(1, gate)
        try await eventually("the second waits, and the time of both runs") { gate.load == (1, 1) && clock.sleeping.count == 2 }
        return (gate, first, second)
    }

    @Test func noMoreRunAtATimeThanMayAndTheyBeginInTheirOrder() async throws {
        let gate = gate(concurrent: 2, waiting: 10)
        var tasks: [Task<Int, any Error>] = []
        for number in 0..<6 {
            tasks.append(start(number, gate))
            try await eventually("\(number) runs or waits") {
                gate.load == (min(number + 1, 2), max(0, number - 1)) && work.begun.count == min(number + 1, 2)
            }
        }
        for number in 0..<6 {
            try await eventually("two run") { work.begun == Array(0..<min(6, number + 2)) }
            work.release(number)
            #expect(try await tasks[number].value == number)
        }
        #expect(work.most == 2)
    }

    @Test func whoFindsTheQueueFullIsToldAtOnce() async throws {
        let (gate, first, second) = try await oneRunsAndOneWaits()
        await #expect(throws: QueryLimitError.tooMany) { try await gate(for: "shop") { 2 } }
        work.release(0)
        work.release(1)
        #expect(try await first.value == 0)
        #expect(try await second.value == 1)
    }

    @Test func aProjectWithManyQuestionsKeepsNoOtherWaiting() async throws {
        let gate = gate(concurrent: 1, waiting: 2)
        func start(_ number: Int, _ project: ProjectID) async throws -> Task<Int, any Error> {
            let before = gate.load
            let task = Task { [work] in try await gate(for: project) { try await work(number) } }
            try await eventually("\(number) waits or runs") {
                gate.load.running == 1 && gate.load.waiting == before.running + before.waiting
            }
            return task
        }
        let first = try await start(0, "shop")
        try await eventually("it runs") { work.begun == [0] }
        let second = try await start(1, "shop")
        let third = try await start(2, "shop")
        // The queue is full: the newest question of the project makes room.
        let other = Task { [work] in try await gate(for: "blog") { try await work(3) } }
        await #expect(throws: QueryLimitError.tooMany) { try await third.value }
        for number in [0, 3, 1] { work.release(number) }
        for (number, task) in [(0, first), (3, other), (1, second)] { #expect(try await task.value == number) }
        #expect(work.begun == [0, 3, 1], "and it is the next")
    }

    @Test func aQuestionThatTakesTooLongIsStoppedAndSoIsOneThatWaitsTooLong() async throws {
        let (gate, first, second) = try await oneRunsAndOneWaits()
        clock.advance(by: .seconds(30))
        await #expect(throws: QueryLimitError.timeout(.seconds(30))) { try await first.value }
        await #expect(throws: QueryLimitError.timeout(.seconds(30))) { try await second.value }
        #expect(work.cancelled.contains(0))
        work.release(2)
        #expect(try await start(2, gate).value == 2, "and the places are free")
    }

    @Test func whoIsCancelledWhileItWaitsGivesItsPlaceUp() async throws {
        let (gate, first, second) = try await oneRunsAndOneWaits()
        second.cancel()
        await #expect(throws: CancellationError.self) { try await second.value }
        let third = start(2, gate)
        work.release(0)
        work.release(2)
        #expect(try await first.value == 0)
        #expect(try await third.value == 2)
        #expect(work.begun == [0, 2])
    }

    @Test func aStoreThatGivesUpFirstIsToldAsTheDeadlineAndOneThatIsDownIsNot() async {
        let gate = gate(concurrent: 1, waiting: 1)
        await #expect(throws: QueryLimitError.timeout(.seconds(30))) {
            try await gate(for: nil) { throw StoreError(.timedOut, operation: "events", "operation exceeded time limit") }
        }
        await #expect(throws: StoreError.self) {
            try await gate(for: nil) { throw StoreError(.unavailable, operation: "events", "interrupted") }
        }
    }
}
