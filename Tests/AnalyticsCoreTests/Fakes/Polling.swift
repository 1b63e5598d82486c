import Testing

/// Polls until it holds; fails, instead of hanging, after `limit`.
func eventually(
    _ what: Comment, within limit: Duration = .seconds(60), location: SourceLocation = #_sourceLocation, _ holds: () async -> Bool
) async {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if await holds() { return }
        try? await Task.sleep(for: .milliseconds(1))
    }
    Issue.record("not within \(limit): \(what)", sourceLocation: location)
}

/// Whether a task ends in time; one that hangs is left behind.
func ends(_ task: Task<Void, any Error>, within limit: Duration = .seconds(60)) async -> Bool {
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
