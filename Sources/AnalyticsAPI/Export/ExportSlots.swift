internal import Metrics
internal import Synchronization

/// Limits concurrent exports. Nothing waits for a slot, because the duration of an export is unknown.
final class ExportSlots: Sendable {
    private let limit: Int
    private let taken = Mutex(0)
    private let meter: Meter

    init(limit: Int, meter: Meter) {
        self.limit = limit
        self.meter = meter
    }

    /// Released with the last reference.
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
                .overloaded, "The maximum number of exports is running (EXPORT_CONCURRENCY). Ask again when one has ended.")
        }
        meter.increment()
        return Slot(self)
    }
}
