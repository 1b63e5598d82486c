import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: journals of minutes")
struct StoreContractHistories {
    private let noon = Timestamp(rfc3339: "2026-03-01T12:00:00Z")!

    private func roll(_ store: any Store, version: Int64, events: Int64?, at time: Timestamp?) async throws -> Int {
        let groups = [RollupGroup(type: "a", source: "s", count: events ?? 1)]
        return try await store.roll(
            .minute, [RolledBucket(key: key(1), version: version, table: GroupTable(groups), events: events, at: time)])
    }

    private func history(_ store: any Store) async throws -> BucketHistory? {
        try await store.histories(project: "p", minutes: [0..<9]).first
    }

    @Test("a count that replaces another is told with its versions, its difference and why", arguments: StoreBackend.available)
    func change(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let table = GroupTable([RollupGroup(type: "a", source: "s", count: 3)])
            try await store.mark(.minute, [BucketMark(key: key(1), table: table, events: 3)])
            #expect(try await history(store) == BucketHistory(key: key(1), version: 1, done: 1, events: 3))

            try await store.mark(.minute, [BucketMark(key: key(1), causes: .late)])
            try await store.mark(.minute, [BucketMark(key: key(1), causes: .duplicate), BucketMark(key: key(2), causes: .erasure)])
            #expect(try await history(store)?.causes == [.late, .duplicate])
            #expect(try await roll(store, version: 3, events: 5, at: noon) == 1)
            let change = BucketChange(from: 1, to: 3, difference: 2, causes: [.late, .duplicate], at: noon, until: noon)
            let settled = BucketHistory(key: key(1), version: 3, done: 3, events: 5, changes: [change])
            #expect(try await history(store) == settled)

            // An older count changes nothing, nor does the rollup read differently.
            #expect(try await roll(store, version: 2, events: 4, at: noon) == 0)
            #expect(try await history(store) == settled)
            #expect(try await store.rollup(.minute, key(1))?.groups == [RollupGroup(type: "a", source: "s", count: 5)])
            #expect(try await store.histories(project: "q", minutes: [0..<9]).isEmpty)
            #expect(try await store.histories(project: "p", minutes: [0..<2, 2..<9]).map(\.key) == [key(1), key(2)])
        }
    }

    @Test("a count that was overtaken by a mark leaves the causes for the next one", arguments: StoreBackend.available)
    func overtaken(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.mark(.minute, [BucketMark(key: key(1), causes: .late)])
            try await store.mark(.minute, [BucketMark(key: key(1), causes: .redelivery)])
            #expect(try await roll(store, version: 1, events: 2, at: noon) == 1)
            #expect(try await history(store)?.causes == .redelivery)
            #expect(try await roll(store, version: 2, events: 2, at: noon + .seconds(7200)) == 1)
            let history = try #require(try await history(store))
            #expect(history.causes == [] && history.changes.map(\.from) == [1, 0])
            #expect(history.changes.map(\.difference) == [0, 2])
            #expect(history.created == .late && history.changes.allSatisfy { $0.causes == .redelivery })
        }
    }

    @Test("events in time leave no entry, and what is not known is not made up", arguments: StoreBackend.available)
    func untold(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.mark(.minute, [key(1)])
            #expect(try await roll(store, version: 1, events: 2, at: noon) == 1)
            try await store.mark(.minute, [key(1)])
            #expect(try await roll(store, version: 2, events: 4, at: noon) == 1)
            #expect(try await history(store) == BucketHistory(key: key(1), version: 2, done: 2, events: 4))
            // As an earlier version counts.
            try await store.mark(.minute, [key(1)])
            #expect(try await roll(store, version: 3, events: nil, at: nil) == 1)
            try await store.mark(.minute, [BucketMark(key: key(1), causes: .late)])
            #expect(try await roll(store, version: 4, events: 9, at: noon) == 1)
            #expect(try await history(store)?.changes.map(\.causes) == [.late])
        }
    }

    @Test("entries of an hour with the same causes are one, and no more than a few are kept", arguments: StoreBackend.available)
    func bounded(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.mark(.minute, [key(1)])
            #expect(try await roll(store, version: 1, events: 1, at: noon) == 1)
            var version: Int64 = 1
            for hour in 0..<12 {
                for minute in [0, 30, 59] {
                    try await store.mark(.minute, [BucketMark(key: key(1), causes: .late)])
                    version += 1
                    let time = noon + .seconds(3600 * hour + 60 * minute)
                    #expect(try await roll(store, version: version, events: version, at: time) == 1)
                }
            }
            let changes = try #require(try await history(store)?.changes)
            #expect(changes.count == BucketHistory.limit)
            #expect(changes.map(\.difference) == Array(repeating: 3, count: BucketHistory.limit))
            #expect(changes.first?.to == version && changes.first?.until == noon + .seconds(3600 * 11 + 3540))
            #expect(zip(changes, changes.dropFirst()).allSatisfy { $0.from == $1.to })
        }
    }
}
