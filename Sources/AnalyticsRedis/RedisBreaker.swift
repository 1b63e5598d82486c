/// Decides whether Redis is worth trying: after a failure not for a pause, then by a single attempt, whose failure makes the next
/// pause longer. So an outage costs one caller in a while a timeout, and the others nothing. No I/O, no clock.
struct RedisBreaker {
    /// Permission to try, to be handed back with how it went.
    struct Attempt: Equatable {
        fileprivate var generation: Int
    }

    private enum Mode {
        case closed
        case open(until: ContinuousClock.Instant, pause: Duration)
        /// One attempt is under way, everybody else waits for its outcome.
        case trial(pause: Duration)
    }

    static let firstPause: Duration = .milliseconds(100)
    static let longestPause: Duration = .seconds(2)

    private var mode = Mode.closed
    /// Raised with every change of mode: the outcome of an attempt from before says nothing about now.
    private var generation = 0

    /// `nil`: not now.
    mutating func attempt(at now: ContinuousClock.Instant) -> Attempt? {
        switch mode {
        case .closed:
            return Attempt(generation: generation)
        case .open(let until, let pause) where until <= now:
            enter(.trial(pause: pause))
            return Attempt(generation: generation)
        case .open, .trial:
            return nil
        }
    }

    mutating func succeeded(_ attempt: Attempt) {
        guard attempt.generation == generation, case .trial = mode else { return }
        enter(.closed)
    }

    mutating func failed(_ attempt: Attempt, at now: ContinuousClock.Instant) {
        guard attempt.generation == generation else { return }
        switch mode {
        case .closed:
            enter(.open(until: now + Self.firstPause, pause: Self.firstPause))
        case .trial(let pause):
            let longer = min(pause * 2, Self.longestPause)
            enter(.open(until: now + longer, pause: longer))
        case .open:
            break
        }
    }

    /// It never came to trying: the next caller may.
    mutating func abandoned(_ attempt: Attempt, at now: ContinuousClock.Instant) {
        guard attempt.generation == generation, case .trial(let pause) = mode else { return }
        enter(.open(until: now, pause: pause))
    }

    private mutating func enter(_ mode: Mode) {
        self.mode = mode
        generation += 1
    }
}
