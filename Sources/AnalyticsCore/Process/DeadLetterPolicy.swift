/// When a repeatedly redelivered message is dead-lettered.
///
/// A number of redeliveries is only a suspicion: a crash, a restart or a lost connection raises it for every unacknowledged delivery. Only
/// attempts on this single delivery decide; the store records them (``AttemptStore``).
enum DeadLetterPolicy {
    enum Step: Equatable {
        case process
        /// Splits it. For a single event, marks its minute and dead-letters it (``EnvelopeSalvage``).
        case salvage
        /// Dead-letters the bytes without reading them.
        case discard
    }

    /// Number of redeliveries from which a delivery is processed alone, after everything before it is written and acknowledged. If it
    /// crashes the process, it affects no other delivery. Above the usual effect of restarts and lost connections.
    static let isolateFrom = 10
    /// Number of redeliveries from which each attempt is recorded.
    static let recordFrom = 51
    /// Recorded attempts to process it, and then to salvage it. Each attempt ended with its process, possibly for another reason.
    static let processingAttempts = 10
    static let salvageAttempts = 5

    /// - Parameter attempts: Number of other processes that began this single delivery and never finished.
    static func step(after attempts: Int) -> Step {
        if attempts < processingAttempts { return .process }
        return attempts < processingAttempts + salvageAttempts ? .salvage : .discard
    }
}
