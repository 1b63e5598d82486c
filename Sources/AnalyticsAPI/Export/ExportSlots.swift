internal import Metrics
internal import Synchronization

/// How many exports run at a time. Nobody waits for a place: what an export takes is not foreseen.
final class ExportSlots: Sendable {
    private let limit: Int
    private let taken = Mutex(0)
    private let meter: Meter

    init(limit: Int, meter: Meter) {
        self.limit = limit
        self.meter = meter
    }

    /// Given back when nobody holds it any longer.
    final class Slot: Sendable {
        private let slots: ExportSlots

        fileprivate init(_ slots: ExportSlots) {
            self.slots = slots
        }

        deinit {
            slots.taken.withLock { $0 -= 1 }
            slots.meter.decrement()
        }
    }

    func take() throws(Problem) -> Slot {
        let isTaken = taken.withLock { taken in
            guard taken < limit else { return false }
            taken += 1
            return true
        }
        guard isTaken else {
            throw Problem(
                .overloaded, "As many exports are running as may run at a time (EXPORT_CONCURRENCY). Ask again once one has ended.")
        }
        meter.increment()
        return Slot(self)
    }
}
