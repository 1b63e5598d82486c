internal import AnalyticsCore
internal import Synchronization

/// How many bytes of bodies are in memory, all requests together.
final class BodyBudget: Sendable {
    private let limit: Int
    private let used = Mutex(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// What one request holds; given back when nobody holds the lease any longer.
    final class Lease: Sendable {
        private let budget: BodyBudget
        private let held = Mutex(0)

        fileprivate init(_ budget: BodyBudget) {
            self.budget = budget
        }

        /// Throws when there is no room; nobody waits here, for those who wait would hold what they have.
        func take(_ count: Int) throws(Problem) {
            guard budget.take(count) else {
                throw Problem(.overloaded, "Too many large bodies are being received at the moment. Send this one again in a moment.")
                    .closingConnection()
            }
            held.withLock { $0 += count }
        }

        deinit {
            let count = held.withLock { $0 }
            budget.used.withLock { $0 -= count }
        }
    }

    func lease() -> Lease { Lease(self) }

    /// For tests.
    var bytesInUse: Int { used.withLock { $0 } }

    private func take(_ count: Int) -> Bool {
        used.withLock { used in
            guard used + count <= limit else { return false }
            used += count
            return true
        }
    }
}
