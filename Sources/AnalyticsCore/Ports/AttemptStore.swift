/// Records for some days which processes began to work on a single delivery and never finished.
///
/// The broker's count of deliveries is not enough: a crash raises the count of every unacknowledged delivery.
public protocol AttemptStore: Sendable {
    /// Records durably that `process` begins to work on `delivery`. Returns how many other processes have begun on it. A process that
    /// begins again has survived its previous attempt, so it counts once.
    ///
    /// - Parameters:
    ///   - delivery: A digest of the delivery's bytes.
    ///   - process: Id of this run of the process.
    func beginAttempt(on delivery: String, by process: String, at time: Timestamp) async throws(StoreError) -> Int

    /// Deletes the attempts on a finished delivery.
    func forgetAttempts(on delivery: String) async throws(StoreError)
}
