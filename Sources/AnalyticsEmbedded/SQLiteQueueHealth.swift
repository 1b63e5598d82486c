/// Whether the file can be written, and what of it is worth a line in the log: where trouble begins and ends, and no more often than
/// every ten seconds, since a disk that is nearly full takes one write and refuses the next.
struct SQLiteQueueHealth {
    enum Operation {
        case append
        case settle
    }

    static let quiet: Duration = .seconds(10)

    private var failures: [Operation: String] = [:]
    private var logged: ContinuousClock.Instant?
    private var isLogged = false

    /// Why the last write of either kind failed; `nil` when neither did.
    var failure: String? { failures[.append] ?? failures[.settle] }

    /// Returns whether to log it.
    mutating func failed(_ operation: Operation, _ reason: String, at now: ContinuousClock.Instant) -> Bool {
        failures[operation] = reason
        guard !isLogged, logged.map({ now - $0 >= Self.quiet }) ?? true else { return false }
        logged = now
        isLogged = true
        return true
    }

    /// Returns whether to log the recovery.
    mutating func succeeded(_ operation: Operation) -> Bool {
        failures[operation] = nil
        guard failures.isEmpty, isLogged else { return false }
        isLogged = false
        return true
    }
}
