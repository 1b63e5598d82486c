import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(2)))
struct HashPlacesTests {
    private let clock = ManualClock()
    private let places: HashPlaces
    /// Those that have begun, in their order.
    private let begun = Recorded<String>()
    private let ended = Recorded<String>()

    init() {
        places = HashPlaces(elapsed: clock.elapsed)
    }

    /// Stays in its place until it is told to end.
    private func start(_ account: String, _ address: String) -> Task<Void, any Error> {
        Task { [places, begun, ended] in
            try await places(AccountPlace(account: account, address: address)) {
                begun.append(account)
                try await eventually("\(account) is told to end") { ended.values.contains(account) }
            }
        }
    }

    private func start(
        _ account: String, _ address: String, running: Int, waiting: Int
    ) async throws -> Task<Void, any Error> {
        let task = start(account, address)
        try await eventually("\(account) runs or waits") { places.load == (running, waiting) && begun.values.count >= running }
        return task
    }

    @Test func twoRunAtATimeAndTheNextBeginsWhenOneEnds() async throws {
        let a = try await start("a", "10.0.0.1", running: 1, waiting: 0)
        let b = try await start("b", "10.0.0.2", running: 2, waiting: 0)
        let c = try await start("c", "10.0.0.3", running: 2, waiting: 1)
        let d = try await start("d", "10.0.0.4", running: 2, waiting: 2)
        ended.append("b")
        try await b.value
        try await eventually("c runs") { begun.values == ["a", "b", "c"] }
        for name in ["a", "c", "d"] { ended.append(name) }
        for task in [a, c, d] { try await task.value }
        #expect(places.load.running == 0 && places.load.waiting == 0)
    }

    @Test func neitherAnAccountNorANetworkHoldsBothPlaces() async throws {
        let a = try await start("a", "10.0.0.1", running: 1, waiting: 0)
        let same = try await start("a", "10.0.0.2", running: 1, waiting: 1)
        let near = try await start("b", "10.0.0.1", running: 1, waiting: 2)
        let other = try await start("c", "10.0.0.3", running: 2, waiting: 2)
        ended.append("c")
        try await other.value
        #expect(places.load.waiting == 2, "its place is not for those that wait")
        ended.append("a")
        try await a.value
        try await same.value
        try await eventually("b runs") { begun.values.contains("b") }
        ended.append("b")
        try await near.value
    }

    @Test func eightWaitAndTheNextIsRefusedAtOnce() async throws {
        var tasks: [Task<Void, any Error>] = []
        for number in 0..<10 {
            tasks.append(try await start("\(number)", "10.0.0.\(number)", running: min(2, number + 1), waiting: max(0, number - 1)))
        }
        await #expect(throws: SignInError.busy) { try await start("x", "10.0.1.1").value }
        for number in 0..<10 { ended.append("\(number)") }
        for task in tasks { try await task.value }
        #expect(Set(begun.values).count == 10)
    }

    @Test func afterTwoSecondsWhatWaitsIsRefused() async throws {
        let a = try await start("a", "10.0.0.1", running: 1, waiting: 0)
        let waiting = try await start("a", "10.0.0.2", running: 1, waiting: 1)
        try await eventually("its time runs") { clock.sleeping == [.seconds(2)] }
        clock.advance(by: .seconds(2))
        await #expect(throws: SignInError.busy) { try await waiting.value }
        #expect(places.load.waiting == 0)
        ended.append("a")
        try await a.value
    }

    @Test func whatIsCancelledWaitsNoLonger() async throws {
        let a = try await start("a", "10.0.0.1", running: 1, waiting: 0)
        let waiting = try await start("a", "10.0.0.2", running: 1, waiting: 1)
        waiting.cancel()
        await #expect(throws: SignInError.busy) { try await waiting.value }
        ended.append("a")
        try await a.value
        #expect(places.load.running == 0 && places.load.waiting == 0)
    }
}
