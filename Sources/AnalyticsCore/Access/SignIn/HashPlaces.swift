internal import Synchronization

/// Bounds how many passwords are hashed at a time: two, and never two of one account or from one network, so that none of them holds both
/// places. Others wait for their turn, a few of them for a short time.
final class HashPlaces: Sendable {
    private struct Waiter {
        var ticket: Int
        var place: AccountPlace
        /// True: it has a place.
        var turn: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var running: [AccountPlace] = []
        var tickets = 0
        var waiting: [Waiter] = []

        func isFree(for place: AccountPlace) -> Bool {
            running.count < HashPlaces.concurrent
                && running.allSatisfy { !$0.account.equalsUTF8(place.account) && $0.network != place.network }
        }
    }

    static let concurrent = 2
    static let waiting = 8
    static let longestWait: Duration = .seconds(2)

    private let elapsed: ElapsedClock
    private let state = Mutex(State())

    init(elapsed: ElapsedClock) {
        self.elapsed = elapsed
    }

    /// For tests.
    var load: (running: Int, waiting: Int) { state.withLock { ($0.running.count, $0.waiting.count) } }

    /// Runs `body` when it gets its turn. Throws ``SignInError/busy`` if too many wait already, or if it has waited too long.
    func callAsFunction<Value: Sendable>(_ place: AccountPlace, _ body: () async throws -> Value) async throws -> Value {
        guard await enter(place) else { throw SignInError.busy }
        defer { leave(place) }
        return try await body()
    }

    private func enter(_ place: AccountPlace) async -> Bool {
        let ticket = state.withLock { state -> Int? in
            guard !state.isFree(for: place) else {
                state.running.append(place)
                return nil
            }
            state.tickets += 1
            return state.tickets
        }
        guard let ticket else { return true }
        let timer = Task { [elapsed] in
            try? await elapsed.sleep(Self.longestWait)
            self.giveUp(ticket)
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { turn in
                let result = state.withLock { state -> Bool? in
                    if Task.isCancelled { return false }
                    if state.isFree(for: place) {
                        state.running.append(place)
                        return true
                    }
                    guard state.waiting.count < Self.waiting else { return false }
                    state.waiting.append(Waiter(ticket: ticket, place: place, turn: turn))
                    return nil
                }
                if let result { turn.resume(returning: result) }
            }
        } onCancel: {
            giveUp(ticket)
        }
    }

    private func giveUp(_ ticket: Int) {
        let waiter = state.withLock { state in
            state.waiting.firstIndex { $0.ticket == ticket }.map { state.waiting.remove(at: $0) }
        }
        waiter?.turn.resume(returning: false)
    }

    /// Gives the places that are free now to those that have waited longest and may have them.
    private func leave(_ place: AccountPlace) {
        let turns = state.withLock { state -> [CheckedContinuation<Bool, Never>] in
            state.running.removeAll { $0 == place }
            var turns: [CheckedContinuation<Bool, Never>] = []
            while let index = state.waiting.firstIndex(where: { state.isFree(for: $0.place) }) {
                let waiter = state.waiting.remove(at: index)
                state.running.append(waiter.place)
                turns.append(waiter.turn)
            }
            return turns
        }
        for turn in turns { turn.resume(returning: true) }
    }
}
