internal import Metrics
internal import Synchronization

/// Limits the bytes that requests hold in memory, in total and per peer. Nothing waits for room: a waiting request would keep the bytes
/// that it holds.
///
/// An eighth of each limit is reserved for leases of at most ``smallBytes``, so that single events are accepted while large requests take
/// all the rest.
final class ByteBudget: Sendable {
    /// A limit for small and large leases together.
    struct Bound: Sendable {
        var all: Int
        /// The total above which a large lease cannot grow.
        var large: Int

        /// - Parameter largest: The bytes that a single lease can always take if nothing else is held.
        init(_ limit: Int, largest: Int) {
            all = limit
            large = min(limit, max(limit - limit / 8, largest))
        }

        func admits(_ total: Int, isLarge: Bool) -> Bool { total <= (isLarge ? large : all) }
    }

    private struct Held {
        var total = 0
        /// Only peers that hold bytes: at most one entry per lease.
        var peers: [Peer: Int] = [:]
    }

    static let smallBytes = 64 * 1024

    private let bound: Bound
    private let peerBound: Bound
    private let held = Mutex(Held())
    private let meter: Meter?

    /// - Parameters:
    ///   - peerLimit: Bytes for all leases of one peer; `nil`: `limit`.
    ///   - largest: Bytes that one lease can reach in spite of the reserve for small ones.
    init(limit: Int, peerLimit: Int? = nil, largest: Int = 0, meter: Meter? = nil) {
        bound = Bound(limit, largest: largest)
        peerBound = Bound(min(limit, max(peerLimit ?? limit, largest)), largest: largest)
        self.meter = meter
    }

    /// The bytes that one request holds. They are released with the last reference to the lease.
    final class Lease: Sendable {
        private let budget: ByteBudget
        private let peer: Peer?
        private let held = Mutex(0)

        fileprivate init(_ budget: ByteBudget, _ peer: Peer?) {
            self.budget = budget
            self.peer = peer
        }

        var bytes: Int { held.withLock { $0 } }

        /// Returns false and changes nothing if there is no room.
        func resize(to count: Int) -> Bool { change { _ in count } }

        func grow(by count: Int) -> Bool { change { $0 + count } }

        func hasRoom(for count: Int) -> Bool {
            held.withLock { budget.hasRoom(for: count, peer, leaseTotal: $0 + count) }
        }

        private func change(_ change: (Int) -> Int) -> Bool {
            held.withLock { held in
                let count = change(held)
                guard budget.take(count - held, peer, leaseTotal: count) else { return false }
                held = count
                return true
            }
        }

        deinit {
            _ = budget.take(-bytes, peer, leaseTotal: 0)
        }
    }

    /// - Parameter peer: Its limit applies too; `nil`: only the total limit.
    func lease(for peer: Peer? = nil) -> Lease { Lease(self, peer) }

    /// For tests.
    var bytesInUse: Int { held.withLock { $0.total } }
    var peersInUse: Int { held.withLock { $0.peers.count } }

    private func take(_ count: Int, _ peer: Peer?, leaseTotal: Int) -> Bool {
        let isTaken = held.withLock { held in
            guard count <= 0 || admits(count, peer, leaseTotal, held) else { return false }
            held.total += count
            if let peer, count != 0 {
                let rest = held.peers[peer, default: 0] + count
                held.peers[peer] = rest == 0 ? nil : rest
            }
            return true
        }
        if isTaken { meter?.increment(by: Double(count)) }
        return isTaken
    }

    private func hasRoom(for count: Int, _ peer: Peer?, leaseTotal: Int) -> Bool {
        held.withLock { admits(count, peer, leaseTotal, $0) }
    }

    private func admits(_ count: Int, _ peer: Peer?, _ leaseTotal: Int, _ held: Held) -> Bool {
        let isLarge = leaseTotal > Self.smallBytes
        guard bound.admits(held.total + count, isLarge: isLarge) else { return false }
        guard let peer else { return true }
        return peerBound.admits(held.peers[peer, default: 0] + count, isLarge: isLarge)
    }
}

extension ByteBudget.Lease {
    /// Takes the bytes that a response holds until it is written: its values, and the slices of its text in flight.
    func hold(_ count: Int) throws(Problem) {
        guard resize(to: count + 2 * SlicedJSON.sliceBytes) else {
            throw Problem(
                .tooManyAnswers,
                "Answers that clients have not read yet take all the memory for answers. Read answers as they arrive, and ask "
                    + "again in a moment; a smaller 'limit' makes a smaller answer.")
        }
    }
}
