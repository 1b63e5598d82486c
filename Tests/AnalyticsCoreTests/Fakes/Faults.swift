import Synchronization

/// What can go wrong, and when: shared by the fakes, so that one plan covers a whole process.
final class Faults: Sendable {
    enum Step: String, Sendable, CaseIterable {
        case insert
        case markMinute
        case markHour
        case markDay
        case publish
        case bury
        case acknowledge
        case roll
        case unmark
        case record
        case delete
        case report
        case beginAttempt
        case forgetAttempts
        case read
    }

    enum Moment: String, Sendable {
        case before
        case after
    }

    private struct State {
        var crashAfter: Int?
        var isDead = false
        var away: Set<Step> = []
        var trace: [Step] = []
        var counted: (step: Step, attempts: Counting)?
    }

    private let state = Mutex(State())

    /// The process dies after this many moments of steps that write: 0 is before the first takes effect, 1 after it took effect and
    /// before its caller knows.
    func crash(afterMoments count: Int) { state.withLock { $0.crashAfter = count } }

    var hasCrashed: Bool { state.withLock { $0.isDead } }

    /// A new process.
    func revive() {
        state.withLock {
            $0.isDead = false
            $0.crashAfter = nil
        }
    }

    /// These steps fail, without effect, until told otherwise.
    func away(_ steps: Set<Step>) { state.withLock { $0.away = steps } }

    /// The steps that took effect.
    var trace: [Step] { state.withLock { $0.trace } }

    /// Counts attempts at a step from now on.
    func attempts(at step: Step) -> Counting {
        let attempts = Counting()
        state.withLock { $0.counted = (step, attempts) }
        return attempts
    }

    /// Whether the caller may go on; asked before a step takes effect and after.
    func pass(_ step: Step, _ moment: Moment) -> Bool {
        state.withLock { state in
            if moment == .before, state.counted?.step == step { state.counted?.attempts.next() }
            if state.isDead { return false }
            if moment == .before, state.away.contains(step) { return false }
            if step != .read, let left = state.crashAfter {
                if left == 0 {
                    state.isDead = true
                    state.crashAfter = nil
                    return false
                }
                state.crashAfter = left - 1
            }
            if moment == .after, step != .read { state.trace.append(step) }
            return true
        }
    }
}
