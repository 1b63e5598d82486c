import AnalyticsCore
import TestSupport
import Testing

@testable import AnalyticsAPI

@Suite struct ByteBudgetTests {
    private static let kibi = 1_024
    private let one = Peer(ClientAddress("192.0.2.1"))
    private let other = Peer(ClientAddress("192.0.2.2"))

    /// 800 KiB in all, 400 for a peer; an eighth of each is for leases of at most 64.
    private func budget(largest: Int = 0) -> ByteBudget {
        ByteBudget(limit: 800 * Self.kibi, peerLimit: 400 * Self.kibi, largest: largest)
    }

    private func hold(_ kibi: Int, _ budget: ByteBudget, _ peer: Peer?) -> ByteBudget.Lease? {
        let lease = budget.lease(for: peer)
        return lease.grow(by: kibi * Self.kibi) ? lease : nil
    }

    @Test func `a peer has its share, and others have the rest`() throws {
        let budget = budget()
        var held = [try #require(hold(200, budget, one)), try #require(hold(150, budget, one))]
        #expect(hold(65, budget, one) == nil)
        held.append(try #require(hold(300, budget, other)))
        held = []
        #expect(budget.bytesInUse == 0 && budget.peersInUse == 0)
    }

    @Test func `an eighth of a share, and of the whole, is for small leases`() throws {
        let budget = budget()
        var held = [try #require(hold(350, budget, one))]
        #expect(hold(65, budget, one) == nil)
        // A share is for small ones too.
        held.append(try #require(hold(50, budget, one)))
        #expect(hold(1, budget, one) == nil)
        held.append(try #require(hold(300, budget, other)))
        #expect(hold(65, budget, Peer(nil)) == nil)
        held.append(try #require(hold(64, budget, Peer(nil))))
        held.append(try #require(hold(36, budget, Peer(nil))))
        #expect(hold(1, budget, Peer(nil)) == nil && budget.bytesInUse == 800 * Self.kibi)
        withExtendedLifetime(held) {}
    }

    @Test func `a lease that grows large takes nothing from what is reserved`() throws {
        let budget = budget()
        let held = try #require(hold(300, budget, one))
        let lease = try #require(hold(50, budget, one))
        #expect(!lease.grow(by: 40 * Self.kibi) && lease.bytes == 50 * Self.kibi && lease.grow(by: 10 * Self.kibi))
        #expect(lease.hasRoom(for: 4 * Self.kibi) && !lease.hasRoom(for: 5 * Self.kibi))
        #expect(lease.resize(to: 10) && budget.bytesInUse == 300 * Self.kibi + 10)
        withExtendedLifetime(held) {}
    }

    @Test func `the largest body has room where there is nothing else`() throws {
        #expect(hold(390, budget(), one) == nil)
        #expect(hold(390, budget(largest: 390 * Self.kibi), one) != nil)
        #expect(hold(500, budget(largest: 500 * Self.kibi), one) != nil)
        #expect(hold(800, budget(largest: 800 * Self.kibi), one) != nil)
    }

    // MARK: Callers

    private func caller(_ key: String, of project: ProjectID = "shop") -> Principal {
        Principal(project: project, scopes: [.write], key: key)
    }

    private func hold(_ kibi: Int, _ budget: ByteBudget, _ principal: Principal, at address: String) -> ByteBudget.Lease? {
        let lease = budget.lease(for: principal, at: ClientAddress(address))
        return lease.grow(by: kibi * Self.kibi) ? lease : nil
    }

    @Test func `behind one address each project has a share`() throws {
        let budget = budget()
        var held = [try #require(hold(350, budget, caller("a"), at: "192.0.2.1"))]
        #expect(hold(65, budget, caller("a"), at: "192.0.2.1") == nil)
        #expect(hold(65, budget, caller("b"), at: "192.0.2.1") == nil, "a second key of the project is no second client")
        held.append(try #require(hold(350, budget, caller("c", of: "blog"), at: "192.0.2.1")))
        held = []
        #expect(budget.bytesInUse == 0 && budget.peersInUse == 0)
    }

    @Test func `one key has three quarters, whatever its addresses, or one lease`() throws {
        let budget = ByteBudget(limit: 800 * Self.kibi, peerLimit: 400 * Self.kibi, callerLimit: 600 * Self.kibi, largest: 700 * Self.kibi)
        var held = [
            try #require(hold(300, budget, caller("a"), at: "192.0.2.1")), try #require(hold(300, budget, caller("a"), at: "192.0.2.2")),
        ]
        #expect(hold(1, budget, caller("a"), at: "192.0.2.3") == nil)
        held.append(try #require(hold(100, budget, caller("b"), at: "192.0.2.3")))
        held = []
        #expect(hold(700, budget, caller("a"), at: "192.0.2.1") != nil)
    }

    @Test func `a key that reads slowly leaves memory for the answers of others`() throws {
        let answers = MemoryLimits(APISettings(maximumAnswerBytesInMemory: 400 * Self.kibi)).answers
        var held: [ByteBudget.Lease] = []
        func hold(_ principal: Principal) -> Bool {
            let lease = answers.lease(for: principal)
            held.append(lease)
            return lease.grow(by: 100 * Self.kibi)
        }
        for _ in 0..<3 { #expect(hold(caller("a"))) }
        #expect(!hold(caller("a")))
        #expect(hold(caller("b")))
    }

    @Test func `without a peer the whole counts`() throws {
        #expect(hold(700, budget(), nil) != nil && hold(701, budget(), nil) == nil)
    }

    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false), ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", true), ("2001:db8:1:2::1", "2001:db8:1:3::1", false), ("::", "0.0.0.0", false),
    ])
    func `a peer is an address, of IPv6 its first 64 bits`(left: String, right: String, isOne: Bool) throws {
        let (left, right) = (try #require(ClientAddress(left)), try #require(ClientAddress(right)))
        #expect((Peer(left) == Peer(right)) == isOne)
        #expect(Peer(left) != Peer(nil) || left.text == "0.0.0.0")
    }
}
