internal import Metrics
internal import Synchronization

/// How many bytes requests may hold in memory, all of them together and those of one peer. Nobody waits for room: those who wait would hold what
/// they have.
///
/// An eighth of each is for leases of at most ``smallBytes`` alone: while large ones take all the rest, single events go on.
final class ByteBudget: Sendable {
    /// What small and large leases may take together.
    struct Bound: Sendable {
        var all: Int
        /// What there may be of it when a large lease has grown.
        var large: Int

        /// - Parameter largest: A lease of this size finds room where nothing is held.
        init(_ limit: Int, largest: Int) {
            all = limit
            large = min(limit, max(limit - limit / 8, largest))
        }

        func admits(_ total: Int, isLarge: Bool) -> Bool { total <= (isLarge ? large : all) }
    }

    private struct Held {
        var total = 0
        /// Of those who hold something: no more than there are leases.
        var peers: [Peer: Int] = [:]
    }

    static let smallBytes = 64 * 1024

    private let bound: Bound
    private let peerBound: Bound
    private let held = Mutex(Held())
    private let meter: Meter?

    /// - Parameters:
    ///   - peerLimit: Bytes for the leases of one peer; all where it is `nil`.
    ///   - largest: Bytes that one lease can come to, whatever is reserved.
    init(limit: Int, peerLimit: Int? = nil, largest: Int = 0, meter: Meter? = nil) {
        bound = Bound(limit, largest: largest)
        peerBound = Bound(min(limit, max(peerLimit ?? limit, largest)), largest: largest)
        self.meter = meter
    }

    /// What one request holds; given back when nobody holds the lease any longer.
    final class Lease: Sendable {
        private let budget: ByteBudget
        private let peer: Peer?
        private let held = Mutex(0)

        fileprivate init(_ budget: ByteBudget, _ peer: Peer?) {
            self.budget = budget
            self.peer = peer
        }

        var bytes: Int { held.withLock { $0 } }

        /// False, and holds what it held, when there is no room for more.
        func resize(to count: Int) -> Bool { change { _ in count } }

        func grow(by count: Int) -> Bool { change { $0 + count } }

        /// Whether it could grow at this moment.
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

    /// - Parameter peer: Whose share counts, beside the whole.
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
