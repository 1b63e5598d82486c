import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: events of bots", .timeLimit(.minutes(3)))
struct StoreContractBots {
    private static let range = [noon..<noon + .seconds(180)]

    /// Every third of a bot; users, correlations and data on some of each.
    private static func events() -> [StoredEvent] {
        (0..<90).map { index -> StoredEvent in
            let userId: String? = index.isMultiple(of: 7) ? "ann" : nil
            let anonymousId: String? = index.isMultiple(of: 6) ? "d" : nil
            let correlationId: String? = index.isMultiple(of: 11) ? "c" : nil
            return stored(
                "\(index)", type: "t\(index % 2)", source: "s\(index % 5)", at: noon + .seconds(index * 2), data: "{\"n\":\(index % 4)}",
                userId: userId, anonymousId: anonymousId, correlationId: correlationId, isBot: index.isMultiple(of: 3))
        }
    }

    private static let selections = [
        Selection(project: "p"), Selection(project: "p", types: ["t1"]),
        Selection(project: "p", types: ["t0", "t1"], sources: ["s1", "s2"]),
        Selection(project: "p", userIds: ["ann", "none"]), Selection(project: "p", anonymousIds: ["d"]),
        Selection(project: "p", correlationIds: ["c"]), Selection(project: "p", data: [DataCondition(path: ["n"], values: ["0", "3"])]),
        Selection(project: "p", types: ["t0"], userIds: ["ann"], data: [DataCondition(path: ["n"], values: ["0", "3"])]),
    ]

    private static func without(_ selection: Selection) -> Selection {
        var selection = selection
        selection.includesBots = false
        return selection
    }

    @Test("a count tells how many are of bots, and leaves them out where they are not asked for", arguments: StoreBackend.available)
    func counting(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add(Self.events())
            for selection in Self.selections {
                let all = try await store.countEvents(selection, in: Self.range, into: FirstRows(.max)).rows
                let listed = try await store.events(matching: selection, after: nil, limit: 1_000)
                #expect(all.reduce(0) { $0 + $1.count } == Int64(listed.count) && !listed.isEmpty, "\(selection)")
                #expect(all.reduce(0) { $0 + $1.bots } == Int64(listed.count { $0.isBot }), "\(selection)")
                let humans = try await store.countEvents(Self.without(selection), in: Self.range, into: FirstRows(.max)).rows
                let expected = all.filter { $0.count > $0.bots }.map {
                    EventCount(minute: $0.minute, type: $0.type, source: $0.source, count: $0.count - $0.bots)
                }
                #expect(humans == expected, "\(selection)")
            }
        }
    }

    @Test("scans and listings leave them out where they are not asked for", arguments: StoreBackend.available)
    func reading(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add(Self.events())
            for selection in Self.selections {
                let listed = try await store.events(matching: selection, after: nil, limit: 1_000)
                let humans = listed.filter { !$0.isBot }.map(\.event.id)
                #expect(humans.count < listed.count)
                #expect(try await store.ids(Self.without(selection)) == humans, "\(selection)")
                #expect(try await store.ids(Self.without(selection), pagesOf: 7) == humans, "\(selection)")
                for (selection, ids) in [(selection, listed.map(\.event.id)), (Self.without(selection), humans)] {
                    let scanned = try await store.scan(selection, in: Self.range).map(\.id)
                    #expect(scanned == ids.reversed(), "\(selection)")
                }
            }
            #expect(try await store.event(project: "p", id: "3")?.isBot == true)
            #expect(try await store.event(project: "p", id: "4")?.isBot == false)
        }
    }

    @Test("a bucket's first mark and a roll bring counts of bots, which are read as they were written", arguments: StoreBackend.available)
    func tables(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let first = [RollupGroup(type: "t", source: "s", count: 9, bots: [4]), RollupGroup(type: "u", source: "s", count: 1)]
            try await store.mark(.minute, [BucketMark(key: key(1), groups: first)])
            #expect(try await store.rollup(.minute, key(1)) == Rollup(key: key(1), version: 1, done: 1, dirty: false, groups: first))
            let hour = [RollupGroup(type: "t", source: "s", count: 9, quarters: [9, 0, 0, 0], bots: [4, 0, 0, 0])]
            try await store.mark(.hour, [key(2)])
            #expect(try await store.roll(.hour, [RolledBucket(key: key(2), version: 1, groups: hour)]) == 1)
            #expect(try await store.rollup(.hour, key(2))?.groups == hour)
        }
    }
}
