/// Whether the file can be written, and what to log: the first failure and the recovery, and at most one failure per
/// ten seconds, because a nearly full disk may accept one write and refuse the next.
struct SQLiteQueueHealth {
    enum Operation {
        case append
        case settle
    }

    static let quiet: Duration = .seconds(10)

    private var failures: [Operation: String] = [:]
    private var logged: ContinuousClock.Instant?
    private var isLogged = false

    /// Why the last write of either kind failed; `nil` if neither failed.
    var failure: String? { failures[.append] ?? failures[.settle] }

    /// Returns whether to log the failure.
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
