internal import Synchronization

/// What can go wrong, and when: shared by the fakes, so that one plan covers a whole process.
package final class Faults: Sendable {
    package enum Step: String, Sendable, CaseIterable {
        case insert
        case markMinute
        case markHour
        case markDay
        case publish
        case deadLetter
        case acknowledge
        case roll
        case unmark
        case record
        case delete
        case report
        case beginAttempt
        case forgetAttempts
        case segment
        case erasure
        case announce
        case remove
        case overwrite
        /// Goes on beside other steps: no crash comes at it, and no trace names it.
        case pipeline
        case read
    }

    package enum Moment: String, Sendable {
        case before
        case after
    }

    private struct State {
        var crashAfter: Int?
        var isDead = false
        var down: Set<Step> = []
        var trace: [Step] = []
        var counted: (step: Step, attempts: Counting)?
    }

    private let state = Mutex(State())

    package init() {}

    /// The process dies after this many moments of steps that write: 0 is before the first takes effect, 1 after it took effect and
    /// before its caller knows.
    package func crash(afterMoments count: Int) { state.withLock { $0.crashAfter = count } }

    package var hasCrashed: Bool { state.withLock { $0.isDead } }

    /// A new process.
    package func revive() {
        state.withLock {
            $0.isDead = false
            $0.crashAfter = nil
        }
    }

    /// These steps fail, without effect, until told otherwise.
    package func down(_ steps: Set<Step>) { state.withLock { $0.down = steps } }

    /// The steps that took effect.
    package var trace: [Step] { state.withLock { $0.trace } }

    /// Counts attempts at a step from now on.
    package func attempts(at step: Step) -> Counting {
        let attempts = Counting()
        state.withLock { $0.counted = (step, attempts) }
        return attempts
    }

    /// Whether the caller may go on; asked before a step takes effect and after.
    package func pass(_ step: Step, _ moment: Moment) -> Bool {
        state.withLock { state in
            if moment == .before, state.counted?.step == step { state.counted?.attempts.next() }
            if state.isDead { return false }
            if moment == .before, state.down.contains(step) { return false }
            if step != .read, step != .pipeline, let left = state.crashAfter {
                if left == 0 {
                    state.isDead = true
                    state.crashAfter = nil
                    return false
                }
                state.crashAfter = left - 1
            }
            if moment == .after, step != .read, step != .pipeline { state.trace.append(step) }
            return true
        }
    }
}
