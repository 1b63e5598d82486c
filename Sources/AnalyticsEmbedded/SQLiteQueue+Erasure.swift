public import AnalyticsCore
import Synchronization

extension SQLiteQueue {
    /// Above this size the file is not rewritten, because publishers wait for the rewrite.
    private static let overwriteBytes = 256 << 20

    public func eraseDeadLetters(
        where isErased: @escaping @Sendable (DeadLetter) -> Bool?
    ) async throws(BrokerError) -> DeadLetterErasure {
        let count = Mutex(DeadLetterErasure())
        try await write { [file] in
            try await file.deleteDeadLetters { body in
                count.withLock { $0.takes(body, DeadLetterDecoder(), where: isErased) }
            }
        }
        let erasure = count.withLock { $0 }
        state.withLock { $0.deadLetters -= erasure.erased }
        return erasure
    }

    public func overwriteDeleted() async throws(BrokerError) {
        let isDone = Mutex(false)
        try await write { [file] in
            let done = try await file.overwriteDeleted(upTo: Self.overwriteBytes)
            isDone.withLock { $0 = done }
        }
        guard isDone.withLock({ $0 }) else {
            throw BrokerError(.unavailable, "the queue holds too many messages to rewrite its file now")
        }
    }

    private func write(_ body: @escaping @Sendable () async throws -> Void) async throws(BrokerError) {
        let (failure, isClosed) = state.withLock { ($0.isWriting ? $0.health.failure : nil, $0.isClosed) }
        if isClosed { throw BrokerError(.unavailable, State.closedReason) }
        // After a write that hangs, another would hang too.
        if let failure { throw BrokerError(.unavailable, failure) }
        do {
            try await Deadline.enforce(body)
        } catch {
            throw BrokerError(.unavailable, "the queue's file cannot be written: \(error)", cause: error)
        }
    }
}
