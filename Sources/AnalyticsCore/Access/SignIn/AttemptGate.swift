internal import Synchronization

/// Limits the attempts of this process. ``AttemptLimiter`` decides.
final class AttemptGate: Sendable {
    private let elapsed: ElapsedClock
    private let limiter = Mutex(AttemptLimiter())
    private let invitations = Mutex(UnknownLimit())

    init(elapsed: ElapsedClock) {
        self.elapsed = elapsed
    }

    /// Runs an attempt, or throws ``SignInError/tooManyAttempts(retryAfter:)``. A ``SignInError`` that it throws may be a failure; other
    /// errors say nothing about the password.
    ///
    /// - Parameter isFamiliar: Whether the account has signed in from there before, or is signed in.
    func callAsFunction<Value: Sendable>(
        _ place: AccountPlace, isFamiliar: Bool, _ attempt: () async throws -> Value
    ) async throws -> Value {
        let now = elapsed.now()
        if let wait = limiter.withLock({ $0.begin(place, isFamiliar: isFamiliar, at: now) }) {
            throw SignInError.tooManyAttempts(retryAfter: wait)
        }
        func end(_ outcome: AttemptLimiter.Outcome) {
            let now = elapsed.now()
            limiter.withLock { $0.end(place, isFamiliar: isFamiliar, outcome, at: now) }
        }
        do {
            let value = try await attempt()
            end(.success)
            return value
        } catch {
            end((error as? SignInError)?.isFailure == true ? .failure : .withdrawn)
            throw error
        }
    }

    /// Before an invitation is looked up.
    func checkInvitations(from client: Client) throws(SignInError) {
        let now = elapsed.now()
        if let wait = invitations.withLock({ $0.take(client.address, at: now) }) { throw .tooManyAttempts(retryAfter: wait) }
    }
}
