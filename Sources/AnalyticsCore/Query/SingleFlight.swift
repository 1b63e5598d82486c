internal import Synchronization

/// Lets callers that ask for the same thing at the same time share one computation.
final class SingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let flights = Mutex<[Key: Task<Value, any Error>]>([:])

    /// The value of the flight under way for `key`, or of a new one. The computation goes on when a caller is cancelled: others wait for it.
    func value(for key: Key, _ compute: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let task = flights.withLock { flights in
            if let task = flights[key] { return task }
            let task = Task {
                defer { self.flights.withLock { $0[key] = nil } }
                return try await compute()
            }
            flights[key] = task
            return task
        }
        return try await task.value
    }
}
