extension ElapsedClock {
    /// Reads from a store with a deadline. Returns by then even if the store hangs: such a read goes on and ends at the adapter's limits
    /// (docs/decisions/deadlines.md).
    func read<Value: Sendable>(
        _ operation: StoreOperation, within limit: Duration, _ read: @escaping @Sendable () async throws(StoreError) -> Value
    ) async -> Result<Value, StoreError> {
        // The first result counts.
        let (results, sink) = AsyncStream.makeStream(of: Result<Value, StoreError>.self, bufferingPolicy: .bufferingOldest(1))
        let reader = Task.detached {
            do throws(StoreError) {
                let value = try await Deadline.within(limit) { () async throws(StoreError) in try await read() }
                sink.yield(.success(value))
            } catch {
                sink.yield(.failure(error))
            }
        }
        let late = StoreError(.unavailable, operation: operation.rawValue, "not done within \(limit)", cause: DeadlineError())
        let timer = Task.detached {
            do {
                try await self.sleep(limit)
                sink.yield(.failure(late))
            } catch {
                // The read was in time.
            }
        }
        defer {
            reader.cancel()
            timer.cancel()
        }
        for await result in results { return result }
        // The caller was cancelled.
        return .failure(late)
    }
}
