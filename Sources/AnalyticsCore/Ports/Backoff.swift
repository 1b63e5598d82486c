/// The delay before the next attempt: `first`, doubled after each failure up to `cap`, ±25 % jitter.
public struct Backoff: Sendable, Equatable {
    private let first: Duration
    /// Before jitter.
    private let cap: Duration
    /// Failures so far.
    public private(set) var failures = 0

    public init(first: Duration = .milliseconds(50), cap: Duration = .seconds(5)) {
        self.first = first
        self.cap = cap
    }

    public mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        var delay = min(first, cap)
        // 63 doublings exceed the ratio of any two durations.
        for _ in 0..<min(failures, 63) where delay < cap { delay = min(delay * 2, cap) }
        failures += 1
        return delay.jittered(using: &random)
    }

    public mutating func next() -> Duration {
        var random = SystemRandomNumberGenerator()
        return next(using: &random)
    }

    /// To be called after a successful attempt.
    public mutating func reset() {
        failures = 0
    }
}

extension Duration {
    /// ±25 %.
    public func jittered(using random: inout some RandomNumberGenerator) -> Duration {
        self * Double.random(in: 0.75...1.25, using: &random)
    }

    public func jittered() -> Duration {
        var random = SystemRandomNumberGenerator()
        return jittered(using: &random)
    }
}
