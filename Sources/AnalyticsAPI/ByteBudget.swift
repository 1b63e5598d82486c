internal import Metrics
internal import Synchronization

/// How many bytes requests may hold in memory, all of them together. Nobody waits for room: those who wait would hold what they have.
final class ByteBudget: Sendable {
    private let limit: Int
    private let used = Mutex(0)
    private let meter: Meter?

    init(limit: Int, meter: Meter? = nil) {
        self.limit = limit
        self.meter = meter
    }

    /// What one request holds; given back when nobody holds the lease any longer.
    final class Lease: Sendable {
        private let budget: ByteBudget
        private let held = Mutex(0)

        fileprivate init(_ budget: ByteBudget) {
            self.budget = budget
        }

        var bytes: Int { held.withLock { $0 } }

        /// False, and holds what it held, when there is no room for more.
        func resize(to count: Int) -> Bool { change { _ in count } }

        func grow(by count: Int) -> Bool { change { $0 + count } }

        private func change(_ change: (Int) -> Int) -> Bool {
            held.withLock { held in
                let count = change(held)
                guard budget.take(count - held) else { return false }
                held = count
                return true
            }
        }

        deinit {
            _ = budget.take(-bytes)
        }
    }

    func lease() -> Lease { Lease(self) }

    /// For tests.
    var bytesInUse: Int { used.withLock { $0 } }

    private func take(_ count: Int) -> Bool {
        let isTaken = used.withLock { used in
            guard count <= 0 || used + count <= limit else { return false }
            used += count
            return true
        }
        if isTaken { meter?.increment(by: Double(count)) }
        return isTaken
    }
}

extension ByteBudget.Lease {
    /// Takes what an answer holds until it is written: its values, and the slices of its text that are on their way.
    func hold(_ count: Int) throws(Problem) {
        guard resize(to: count + 2 * SlicedJSON.sliceBytes) else {
            throw Problem(
                .tooManyAnswers,
                "The answers that clients have not read yet take all the memory that there is for answers. Read answers as they come, and ask "
                    + "again in a moment; a smaller 'limit' makes a smaller answer.")
        }
    }
}
