internal import AnalyticsCore

/// What is read from the provider. It is kept for a while, and callers at the same time share one read.
actor ProviderCache<Value: Sendable> {
    /// How long a value is used.
    static var maximumAge: Duration { .seconds(3_600) }
    /// How long a read that failed is not tried again: anybody can ask for one.
    static var pause: Duration { .seconds(5) }

    private let elapsed: ElapsedClock
    private let read: @Sendable () async throws(IdentityProviderError) -> Value
    private var last: (value: Value, readAt: Duration)?
    private var failure: (error: IdentityProviderError, at: Duration)?
    private var reading: Task<Result<Value, IdentityProviderError>, Never>?

    init(elapsed: ElapsedClock, _ read: @escaping @Sendable () async throws(IdentityProviderError) -> Value) {
        self.elapsed = elapsed
        self.read = read
    }

    /// - Parameter maximumAge: An older value is read again.
    func value(maximumAge: Duration = ProviderCache.maximumAge) async throws(IdentityProviderError) -> Value {
        let now = elapsed.now()
        if let last, now - last.readAt < maximumAge { return last.value }
        if let failure, now - failure.at < Self.pause { throw failure.error }
        return try await (reading ?? begin()).value.get()
    }

    /// The next caller reads it again.
    func forget() { last = nil }

    private func begin() -> Task<Result<Value, IdentityProviderError>, Never> {
        let task = Task<Result<Value, IdentityProviderError>, Never> {
            let begun = elapsed.now()
            let result: Result<Value, IdentityProviderError>
            do throws(IdentityProviderError) {
                result = .success(try await read())
            } catch {
                result = .failure(error)
            }
            end(result, begunAt: begun)
            return result
        }
        reading = task
        return task
    }

    private func end(_ result: Result<Value, IdentityProviderError>, begunAt begun: Duration) {
        reading = nil
        switch result {
        case .success(let value):
            last = (value: value, readAt: begun)
            failure = nil
        case .failure(let error): failure = (error: error, at: elapsed.now())
        }
    }
}
