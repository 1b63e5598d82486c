package import Testing

/// Polls until `condition` holds, at first every millisecond, later every 50. Fails the test, with `what` and the log, after `limit`.
package func eventually(
    _ what: String, within limit: Duration = .seconds(30), log: @Sendable () -> String = { "" },
    sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    var pause = Duration.milliseconds(1)
    while try await !condition() {
        try #require(ContinuousClock.now < deadline, "not within \(limit): \(what)\n\(log().suffix(4_000))", sourceLocation: sourceLocation)
        try await Task.sleep(for: pause)
        pause = min(pause * 1.5, .milliseconds(50))
    }
}

/// Whether a task ends within `limit`. One that does not is left running.
package func ends(_ task: Task<Void, any Error>, within limit: Duration = .seconds(60)) async -> Bool {
    await withCheckedContinuation { continuation in
        let first = Once()
        Task {
            _ = await task.result
            if first.claim() { continuation.resume(returning: true) }
        }
        Task {
            try? await Task.sleep(for: limit)
            if first.claim() { continuation.resume(returning: false) }
        }
    }
}
