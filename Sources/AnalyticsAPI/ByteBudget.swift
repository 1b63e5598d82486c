internal import AnalyticsCore
internal import Metrics
internal import Synchronization

/// Limits the bytes that requests hold in memory, in total, per peer and per caller. Nothing waits for room: a waiting request would keep
/// the bytes that it holds.
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
        /// Only those that hold bytes: at most one entry per lease.
        var peers: [Peer: Int] = [:]
        var callers: [String: Int] = [:]
    }

    static let smallBytes = 64 * 1024

    private let bound: Bound
    private let peerBound: Bound
    private let callerBound: Bound
    private let held = Mutex(Held())
    private let meter: Meter?

    /// - Parameters:
    ///   - peerLimit: Bytes for all leases of one peer; `nil`: `limit`.
    ///   - callerLimit: Bytes for all leases of one caller, whatever its addresses; one lease alone may have more. `nil`: `limit`.
    ///   - largest: Bytes that one lease can reach in spite of the reserve for small ones.
    init(limit: Int, peerLimit: Int? = nil, callerLimit: Int? = nil, largest: Int = 0, meter: Meter? = nil) {
        bound = Bound(limit, largest: largest)
        peerBound = Bound(min(limit, max(peerLimit ?? limit, largest)), largest: largest)
        callerBound = Bound(callerLimit ?? limit, largest: largest)
        self.meter = meter
    }

    /// The bytes that one request holds. They are released with the last reference to the lease.
    final class Lease: Sendable {
        private let budget: ByteBudget
        fileprivate let peer: Peer?
        fileprivate let caller: String?
        private let held = Mutex(0)

        fileprivate init(_ budget: ByteBudget, _ peer: Peer?, _ caller: String?) {
            self.budget = budget
            self.peer = peer
            self.caller = caller
        }

        var bytes: Int { held.withLock { $0 } }

        /// Returns false and changes nothing if there is no room.
        func resize(to count: Int) -> Bool { change { _ in count } }

        func grow(by count: Int) -> Bool { change { $0 + count } }

        func hasRoom(for count: Int) -> Bool {
            held.withLock { budget.hasRoom(for: count, self, total: $0 + count) }
        }

        private func change(_ change: (Int) -> Int) -> Bool {
            held.withLock { held in
                let count = change(held)
                guard budget.take(count - held, self, total: count) else { return false }
                held = count
                return true
            }
        }

        deinit {
            _ = budget.take(-bytes, self, total: 0)
        }
    }

    /// - Parameters:
    ///   - peer: Its limit applies too; `nil`: none.
    ///   - caller: The same.
    func lease(for peer: Peer? = nil, caller: String? = nil) -> Lease { Lease(self, peer, caller) }

    /// Out of the share of a key or an account, and of the address within its project.
    func lease(for principal: Principal, at address: ClientAddress?) -> Lease {
        lease(for: Peer(address, in: principal), caller: principal.caller)
    }

    /// Out of the share of a key or an account.
    func lease(for principal: Principal) -> Lease { lease(caller: principal.caller) }

    /// For tests.
    var bytesInUse: Int { held.withLock { $0.total } }
    var peersInUse: Int { held.withLock { $0.peers.count + $0.callers.count } }

    /// - Parameter total: The bytes of the lease afterwards.
    private func take(_ count: Int, _ lease: Lease, total: Int) -> Bool {
        let isTaken = held.withLock { held in
            guard count <= 0 || admits(count, lease, total, held) else { return false }
            held.total += count
            if let peer = lease.peer { Self.add(count, to: &held.peers[peer]) }
            if let caller = lease.caller { Self.add(count, to: &held.callers[caller]) }
            return true
        }
        if isTaken { meter?.increment(by: Double(count)) }
        return isTaken
    }

    private static func add(_ count: Int, to share: inout Int?) {
        let rest = (share ?? 0) + count
        share = rest == 0 ? nil : rest
    }

    private func hasRoom(for count: Int, _ lease: Lease, total: Int) -> Bool {
        held.withLock { admits(count, lease, total, $0) }
    }

    private func admits(_ count: Int, _ lease: Lease, _ total: Int, _ held: Held) -> Bool {
        let isLarge = total > Self.smallBytes
        guard bound.admits(held.total + count, isLarge: isLarge) else { return false }
        if let caller = lease.caller {
            let ofCaller = held.callers[caller, default: 0] + count
            guard ofCaller == total || callerBound.admits(ofCaller, isLarge: isLarge) else { return false }
        }
        guard let peer = lease.peer else { return true }
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
