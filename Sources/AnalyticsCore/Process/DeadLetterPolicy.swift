/// When a delivery that comes again and again is dead-lettered.
///
/// A number of redeliveries is no more than a suspicion: a crash, a restart or a lost connection raises it for every delivery that was
/// held, not only for the one that may be the cause. What is dead-lettered is decided by attempts on this very delivery alone, which the store
/// remembers (``AttemptStore``).
enum DeadLetterPolicy {
    enum Step: Equatable {
        case process
        /// Split it; of a single event mark the minute and publish it to the dead letters (``EnvelopeSalvage``).
        case salvage
        /// Publish the bytes to the dead letters and read nothing of them.
        case discard
    }

    /// Redeliveries from which a delivery is handled by itself, with everything before it written and acknowledged: if it kills, it kills
    /// alone. Above what restarts and lost connections bring about on an ordinary day.
    static let isolateFrom = 10
    /// Redeliveries from which each attempt on it is recorded.
    static let recordFrom = 51
    /// Recorded attempts at processing it, and after these at salvaging it. Each ended with its process, which something else may have
    /// killed.
    static let processingAttempts = 10
    static let salvageAttempts = 5

    /// - Parameter attempts: How many other processes have begun on the delivery by itself and never finished.
    static func step(after attempts: Int) -> Step {
        if attempts < processingAttempts { return .process }
        return attempts < processingAttempts + salvageAttempts ? .salvage : .discard
    }
}
