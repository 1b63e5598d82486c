/// Remembers for some days which processes have begun to work on a delivery by itself and never finished.
///
/// The broker's count of deliveries does not tell that: it rises with every crash for all that was held.
public protocol AttemptStore: Sendable {
    /// Records durably that `process` begins to work on `delivery`. Returns how many other processes have begun on it; a process that
    /// begins again has survived its attempt before, so it counts once.
    ///
    /// - Parameters:
    ///   - delivery: A digest of the delivery's bytes.
    ///   - process: An id of this process's life.
    func beginAttempt(on delivery: String, by process: String, at time: Timestamp) async throws(StoreError) -> Int

    /// Forgets the attempts on a delivery that was finished.
    func forgetAttempts(on delivery: String) async throws(StoreError)
}
