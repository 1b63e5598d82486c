internal import Synchronization

/// Lets callers that ask for the same value at the same time share one computation. It is cancelled when the last of them leaves.
final class SingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Flight {
        var number: Int
        var task: Task<Value, any Error>
        var callers: Int
    }

    private struct State {
        var inFlight: [Key: Flight] = [:]
        var lastNumber = 0
    }

    private let state = Mutex(State())

    /// The value of the in-flight computation for `key`, or of a new one. When a caller is cancelled, the computation continues for
    /// the others; with the last caller it is cancelled.
    func value(for key: Key, _ compute: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let flight = join(key, compute)
        return try await withTaskCancellationHandler {
            try await flight.task.value
        } onCancel: {
            leave(key, flight.number)
        }
    }

    /// For tests.
    func callers(of key: Key) -> Int { state.withLock { $0.inFlight[key]?.callers ?? 0 } }

    private func join(_ key: Key, _ compute: @escaping @Sendable () async throws -> Value) -> Flight {
        state.withLock { state in
            if state.inFlight[key] != nil {
                state.inFlight[key]!.callers += 1
                return state.inFlight[key]!
            }
            state.lastNumber += 1
            let number = state.lastNumber
            let task = Task {
                defer { end(key, number) }
                // The computation ends with the last caller, not at the deadline of the first.
                return try await Deadline.$current.withValue(nil) { try await compute() }
            }
            let flight = Flight(number: number, task: task, callers: 1)
            state.inFlight[key] = flight
            return flight
        }
    }

    /// Called when a caller is cancelled. A caller that comes after the last has left starts a new computation.
    private func leave(_ key: Key, _ number: Int) {
        let abandoned = state.withLock { state -> Task<Value, any Error>? in
            guard var flight = state.inFlight[key], flight.number == number else { return nil }
            flight.callers -= 1
            state.inFlight[key] = flight.callers > 0 ? flight : nil
            return flight.callers > 0 ? nil : flight.task
        }
        abandoned?.cancel()
    }

    private func end(_ key: Key, _ number: Int) {
        state.withLock { state in
            if state.inFlight[key]?.number == number { state.inFlight[key] = nil }
        }
    }
}
