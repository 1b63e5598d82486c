import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(5)))
struct SingleFlightTests {
    private struct Failure: Error {}

    @Test func callersThatAskAtTheSameTimeShareOneComputation() async throws {
        let inFlight = SingleFlight<String, Int>()
        let computed = Counting()
        let values = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await inFlight.value(for: "key") {
                        try await eventually("all ask") { inFlight.callers(of: "key") == 50 }
                        return computed.next()
                    }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(computed.value == 1 && values.count == 50)
    }

    @Test func otherKeysAreComputedByThemselvesAndLaterCallersAnew() async throws {
        let inFlight = SingleFlight<String, Int>()
        let computed = Counting()
        for key in ["a", "b", "a"] { _ = try await inFlight.value(for: key) { computed.next() } }
        #expect(computed.value == 3)
    }

    @Test func aFailureIsEveryCallersAndIsForgotten() async throws {
        let inFlight = SingleFlight<String, Int>()
        await #expect(throws: Failure.self) { try await inFlight.value(for: "a") { throw Failure() } }
        #expect(try await inFlight.value(for: "a") { 7 } == 7)
    }

    @Test func aComputationIsSharedAndEndsWithItsLastCaller() async throws {
        let inFlight = SingleFlight<String, Int>()
        let computations = Counting()
        let cancellations = Counting()
        let tasks = (0..<3).map { _ in
            Task {
                try await inFlight.value(for: "a") {
                    computations.next()
                    do { try await Task.sleep(for: .seconds(600)) } catch { cancellations.next() }
                    try Task.checkCancellation()
                    return 1
                }
            }
        }
        try await eventually("all share one") { computations.value == 1 && inFlight.callers(of: "a") == 3 }
        tasks[0].cancel()
        tasks[1].cancel()
        try await eventually("two have left") { inFlight.callers(of: "a") == 1 }
        #expect(cancellations.value == 0)
        tasks[2].cancel()
        for task in tasks { await #expect(throws: CancellationError.self) { try await task.value } }
        #expect(cancellations.value == 1)
        #expect(try await inFlight.value(for: "a") { 2 } == 2, "whoever comes later begins anew")
    }

    @Test func aCallerThatIsCancelledTakesNobodyElsesAnswer() async throws {
        let inFlight = SingleFlight<String, Int>()
        let release = Flag()
        let compute = { @Sendable () async throws -> Int in
            try await eventually("released") { release.isTaken }
            return Task.isCancelled ? -1 : 1
        }
        let first = Task { try await inFlight.value(for: "a", compute) }
        let second = Task { try await inFlight.value(for: "a", compute) }
        try await eventually("both ask") { inFlight.callers(of: "a") == 2 }
        first.cancel()
        try await eventually("the first has left") { inFlight.callers(of: "a") == 1 }
        release.isTaken = true
        #expect(try await second.value == 1)
    }
}
