internal import Metrics
internal import Synchronization

/// Limits how many requests of a kind run at the same time. Nothing waits for a slot: how long one is taken is unknown.
final class RequestSlots: Sendable {
    private let limit: Int
    private let taken = Mutex(0)
    private let meter: Meter?
    /// For the caller of a request beyond the limit.
    private let full: String

    init(limit: Int, meter: Meter? = nil, full: String) {
        self.limit = limit
        self.meter = meter
        self.full = full
    }

    /// Released with the last reference, and between ``pause()`` and ``resume()``.
    final class Slot: Sendable {
        private let slots: RequestSlots
        private let isTaken = Atomic(true)

        fileprivate init(_ slots: RequestSlots) {
            self.slots = slots
        }

        deinit { pause() }

        func pause() {
            if isTaken.exchange(false, ordering: .relaxed) { slots.release() }
        }

        /// Throws if there is none left.
        func resume() throws(Problem) {
            try slots.occupy()
            isTaken.store(true, ordering: .relaxed)
        }
    }

    func take() throws(Problem) -> Slot {
        try occupy()
        return Slot(self)
    }

    private func release() {
        taken.withLock { $0 -= 1 }
        meter?.decrement()
    }

    private func occupy() throws(Problem) {
        let isTaken = taken.withLock { taken in
            guard taken < limit else { return false }
            taken += 1
            return true
        }
        guard isTaken else {
            throw Problem(.overloaded, full)
        }
        meter?.increment()
    }
}
