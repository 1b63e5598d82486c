import AnalyticsCore

/// Decides whether to call Redis. After a failure it pauses, then allows one attempt; each further failure makes the pause longer. During
/// an outage only these attempts wait for a timeout. No I/O, no clock.
struct RedisBreaker {
    /// Permission for one attempt; its holder reports the outcome.
    struct Attempt: Equatable {
        fileprivate var generation: Int
    }

    private enum Mode {
        case closed
        case open(until: ContinuousClock.Instant)
        /// One attempt is running; all others are refused until its outcome.
        case trial
    }

    private var mode = Mode.closed
    private var backoff = Backoff(first: .milliseconds(100), cap: .seconds(2))
    /// Raised with every change of mode. The outcome of an attempt from an earlier mode is ignored.
    private var generation = 0

    /// `nil` if Redis should not be called now.
    mutating func attempt(at now: ContinuousClock.Instant) -> Attempt? {
        switch mode {
        case .closed:
            return Attempt(generation: generation)
        case .open(let until) where until <= now:
            enter(.trial)
            return Attempt(generation: generation)
        case .open, .trial:
            return nil
        }
    }

    mutating func succeeded(_ attempt: Attempt) {
        guard attempt.generation == generation, case .trial = mode else { return }
        backoff.reset()
        enter(.closed)
    }

    mutating func failed(_ attempt: Attempt, at now: ContinuousClock.Instant, using random: inout some RandomNumberGenerator) {
        guard attempt.generation == generation else { return }
        enter(.open(until: now + backoff.next(using: &random)))
    }

    /// The attempt was not made; the next caller may try.
    mutating func abandoned(_ attempt: Attempt, at now: ContinuousClock.Instant) {
        guard attempt.generation == generation, case .trial = mode else { return }
        enter(.open(until: now))
    }

    private mutating func enter(_ mode: Mode) {
        self.mode = mode
        generation += 1
    }
}
