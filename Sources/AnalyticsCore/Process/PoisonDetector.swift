/// Tells a delivery that may be what kills its processor from its neighbours, whose counts rise with it at every crash.
struct PoisonDetector {
    enum Disposition: Equatable {
        case process
        /// By itself, with everything before it written and acknowledged: if it kills, it kills alone.
        case isolate
        /// Split it, or mark its minutes and publish it to the dead letters (``EnvelopeSalvage``).
        case salvage
        /// Salvaging it was probably tried and never finished either: publish the bytes and read nothing of them.
        case discard
    }

    /// Redeliveries after which a delivery is handled alone. Far above what restarts and lost connections bring about: a restart raises
    /// the count of every unacknowledged delivery.
    static let isolateFrom = 10
    /// Redeliveries after which it is salvaged, and after which that is given up too.
    static let salvageAfter = 50
    static let discardAfter = 60

    private var hasGivenUp = false

    /// At most one is given up in a process's life: the killer is the first that comes again after a crash, and those behind it deserve
    /// another try without it.
    mutating func disposition(redeliveries: Int) -> Disposition {
        guard redeliveries > Self.salvageAfter, !hasGivenUp else { return redeliveries >= Self.isolateFrom ? .isolate : .process }
        hasGivenUp = true
        return redeliveries > Self.discardAfter ? .discard : .salvage
    }
}
