import AnalyticsCore

/// Decides whether Redis is worth trying: after a failure not for a pause, then by a single attempt, whose failure makes the next
/// pause longer. So an outage costs one caller in a while a timeout, and the others nothing. No I/O, no clock.
struct RedisBreaker {
    /// Permission to try, to be handed back with how it went.
    struct Attempt: Equatable {
        fileprivate var generation: Int
    }

    private enum Mode {
        case closed
        case open(until: ContinuousClock.Instant)
        /// One attempt is under way, everybody else waits for its outcome.
        case trial
    }

    private var mode = Mode.closed
    private var backoff = Backoff(first: .milliseconds(100), cap: .seconds(2))
    /// Raised with every change of mode: the outcome of an attempt from before says nothing about now.
    private var generation = 0

    /// `nil`: not now.
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

    /// It never came to trying: the next caller may.
    mutating func abandoned(_ attempt: Attempt, at now: ContinuousClock.Instant) {
        guard attempt.generation == generation, case .trial = mode else { return }
        enter(.open(until: now))
    }

    private mutating func enter(_ mode: Mode) {
        self.mode = mode
        generation += 1
    }
}
