import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: marks and rollups")
struct StoreContractRollups {
    static let groups = [RollupGroup(type: "buy", source: "app", count: 1), RollupGroup(type: "view", source: "web", count: 3)]

    @Test("a mark creates a bucket, and raises its version", arguments: StoreBackend.available)
    func mark(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.mark(.minute, [key(5), key(-5)])
            #expect(try await store.rollup(.minute, key(5)) == Rollup(key: key(5), version: 1, done: 0, dirty: true, groups: []))
            try await store.mark(.minute, [key(5)])
            try await store.mark(.minute, [])
            #expect(try await store.rollup(.minute, key(5))?.version == 2)
            #expect(try await store.rollup(.minute, key(-5))?.version == 1)
            #expect(try await store.rollup(.minute, key(6)) == nil)
            #expect(try await store.rollup(.hour, key(5)) == nil)
        }
    }

    @Test("marks of several tiers raise the buckets of each", arguments: StoreBackend.available)
    func tiers(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let minutes = TierMarks(.minute, [BucketMark(key: key(1)), BucketMark(key: key(2))])
            try await store.mark([minutes, TierMarks(.hour, [BucketMark(key: key(1))]), TierMarks(.day, [])])
            try await store.mark([minutes, TierMarks(.day, [BucketMark(key: key(3))])])
            try await store.mark([TierMarks(.hour, [])])
            #expect(try await store.versions(.minute, project: "p", in: [0..<9]) == [1: 2, 2: 2])
            #expect(try await store.versions(.hour, project: "p", in: [0..<9]) == [1: 1])
            #expect(try await store.versions(.day, project: "p", in: [0..<9]).keys.sorted() == [3])
        }
    }

    @Test("a mark that brings a count creates a bucket with it, and is only a mark to one that is there", arguments: StoreBackend.available)
    func countedMarks(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let groups = [RollupGroup(type: "a", source: "s", count: 2), RollupGroup(type: "é", source: "e\u{301}", count: 1)]
            try await store.mark(.minute, [key(2)])
            try await store.mark(
                .minute, [BucketMark(key: key(1), groups: groups), BucketMark(key: key(2), groups: groups), BucketMark(key: key(3))])
            let expected = [
                Rollup(key: key(1), version: 1, done: 1, dirty: false, groups: groups),
                Rollup(key: key(2), version: 2, done: 0, dirty: true, groups: []),
                Rollup(key: key(3), version: 1, done: 0, dirty: true, groups: []),
            ]
            #expect(try await store.rollups(.minute, project: "p", in: [0..<9]) == expected)
            #expect(try await store.dirtyBuckets(.minute, after: nil, limit: 9).map(\.key) == [key(2), key(3)])

            // Its next mark is one like any other, and so is the roll after it.
            try await store.mark(.minute, [BucketMark(key: key(1), groups: [RollupGroup(type: "z", source: "s", count: 9)])])
            #expect(
                try await store.rollup(.minute, key(1)) == Rollup(key: key(1), version: 2, done: 1, dirty: true, groups: groups))
            #expect(try await store.roll(.minute, [RolledBucket(key: key(1), version: 1, groups: [])]) == 0)
            #expect(try await store.roll(.minute, [RolledBucket(key: key(1), version: 2, groups: [groups[0]])]) == 1)
            #expect(
                try await store.rollup(.minute, key(1))
                    == Rollup(key: key(1), version: 2, done: 2, dirty: false, groups: [groups[0]]))
        }
    }

    @Test("many buckets are marked in one call", arguments: StoreBackend.available)
    func markMany(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.mark(.minute, (0..<3000).map { key($0) })
            #expect(try await store.dirtyBuckets(.minute, after: nil, limit: 10_000).count == 3000)
            #expect(try await store.rollups(.minute, project: "p", in: [0..<3000]).map(\.key.index) == Array(0..<3000))
        }
    }

    @Test("a roll sets groups and clears the mark when nothing has moved on", arguments: StoreBackend.available)
    func roll(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.mark(.minute, [key(1)])
            #expect(try await store.roll(.minute, [RolledBucket(key: key(1), version: 1, groups: Self.groups)]) == 1)
            let expected = Rollup(key: key(1), version: 1, done: 1, dirty: false, groups: Self.groups)
            #expect(try await store.rollup(.minute, key(1)) == expected)
            #expect(try await store.roll(.minute, [RolledBucket(key: key(1), version: 1, groups: [])]) == 0)
            #expect(try await store.rollup(.minute, key(1)) == expected)
            #expect(try await store.roll(.minute, []) == 0)
        }
    }

    @Test("a roll of an older version applies, and leaves the mark", arguments: StoreBackend.available)
    func movedOn(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for _ in 0..<3 { try await store.mark(.minute, [key(1)]) }
            #expect(try await store.roll(.minute, [RolledBucket(key: key(1), version: 2, groups: Self.groups)]) == 1)
            #expect(try await store.rollup(.minute, key(1)) == Rollup(key: key(1), version: 3, done: 2, dirty: true, groups: Self.groups))
            #expect(try await store.dirtyBuckets(.minute, after: nil, limit: 9) == [BucketVersion(key: key(1), version: 3, done: 2)])
            #expect(try await store.roll(.minute, [RolledBucket(key: key(1), version: 3, groups: [])]) == 1)
            #expect(try await store.rollup(.minute, key(1)) == Rollup(key: key(1), version: 3, done: 3, dirty: false, groups: []))
        }
    }

    @Test("an older count never lands over a newer one", arguments: StoreBackend.available)
    func older(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for _ in 0..<4 { try await store.mark(.minute, [key(1)]) }
            #expect(try await store.roll(.minute, [RolledBucket(key: key(1), version: 4, groups: Self.groups)]) == 1)
            for late in [3, 1, 4] as [Int64] {
                #expect(try await store.roll(.minute, [RolledBucket(key: key(1), version: late, groups: [])]) == 0)
            }
            #expect(try await store.rollup(.minute, key(1)) == Rollup(key: key(1), version: 4, done: 4, dirty: false, groups: Self.groups))
        }
    }

    @Test("a roll counts what applied; an unknown bucket stays unknown", arguments: StoreBackend.available)
    func applied(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.mark(.hour, [key(1), key(2), key(3)])
            #expect(try await store.roll(.hour, [RolledBucket(key: key(2), version: 1, groups: [])]) == 1)
            let rolled = [1, 2, 3, 4].map { RolledBucket(key: key($0), version: 1, groups: Self.groups) }
            #expect(try await store.roll(.hour, rolled) == 2)
            #expect(try await store.rollup(.hour, key(2))?.groups == [])
            #expect(try await store.rollup(.hour, key(4)) == nil)
            #expect(try await store.roll(.minute, [RolledBucket(key: key(1), version: 1, groups: [])]) == 0)
        }
    }

    @Test("tables come back as they were, whatever their bytes", arguments: StoreBackend.available)
    func tables(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let groups = [
                RollupGroup(type: "$type", source: "a.b", count: 5_000_000_000, quarters: [1, 2, 3, 4_999_999_994]),
                RollupGroup(type: "e\u{301}", source: "a\u{0}b", count: 1 << 40, quarters: [1 << 40, 0, 0, 0]),
                RollupGroup(type: "t\"\\\n", source: "", count: 1, quarters: [0, 0, 0, 1]),
                RollupGroup(type: "é😀", source: "__other__", count: 0, quarters: [0, 0, 0, 0]),
            ]
            let tables = [
                GroupTable(groups), .empty, .overflow, GroupTable(bytes: [0, 0, 9, 255]),
                GroupTable(bytes: Array(repeating: 7, count: GroupTable.maximumBytes)),
            ]
            try await store.mark(.hour, [key(1), key(2)])
            for (version, table) in tables.enumerated() {
                let rolled = [1, 2].map { RolledBucket(key: key($0), version: Int64(version + 1), table: table) }
                #expect(try await store.roll(.hour, rolled) == 2)
                #expect(try await store.rollup(.hour, key(2))?.table == table)
                try await store.mark(.hour, [key(1), key(2), BucketKey(project: "p", index: Int64(version) + 10)])
            }
            let back = try GroupTable(groups).groups()
            #expect(back == groups && back.map { bytes($0.type) } == groups.map { bytes($0.type) })
            for (number, table) in tables.enumerated() {
                try await store.mark(.minute, [BucketMark(key: key(Int64(number)), table: table)])
                #expect(try await store.rollup(.minute, key(Int64(number)))?.table == table)
            }
        }
    }

    @Test(
        "a page holds as many tables as were asked for in bytes, one at the least, and says where to go on",
        arguments: StoreBackend.available)
    func pages(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let table = GroupTable(bytes: Array(repeating: 2, count: 1000))
            let even = (0..<50).map { Int64($0) * 2 }
            let expected: [Int64] = [0, 1] + even.dropFirst().filter { $0 < 41 || $0 >= 50 }
            try await store.mark(.minute, even.map { BucketMark(key: key($0), table: table) } + [BucketMark(key: key(1))])
            for (limit, size) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (9_500, 10), (50_000, 51)] {
                var found: [Int64] = []
                var rest: [Range<Int64>] = [-5..<30, 30..<41, 50..<1000]
                var largest = 0
                while !rest.isEmpty, found.count < 100 {
                    let page = try await store.rollups(.minute, project: "p", in: rest, byteLimit: limit)
                    found += page.rollups.map(\.key.index)
                    largest = max(largest, page.rollups.filter { $0.key.index != 1 }.count)
                    guard let next = page.next else { break }
                    rest = rest.filter { $0.upperBound > next }.map { max($0.lowerBound, next)..<$0.upperBound }
                }
                #expect(found == expected)
                #expect(largest == min(size, 46), "\(limit)")
            }
        }
    }

    @Test("rollups are those in the ranges, in their order", arguments: StoreBackend.available)
    func ranges(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.mark(.minute, [7, 3, -2, 0, 10, 5].map { key($0) })
            _ = try await store.roll(.minute, [RolledBucket(key: key(5), version: 1, groups: Self.groups)])
            func indexes(_ ranges: [Range<Int64>]) async throws -> [Int64] {
                try await store.rollups(.minute, project: "p", in: ranges).map(\.key.index)
            }
            #expect(try await indexes([-2..<7]) == [-2, 0, 3, 5])
            #expect(try await indexes([-1..<1, 5..<6, 7..<11]) == [0, 5, 7, 10])
            #expect(try await indexes([3..<3]) == [])
            #expect(try await indexes([]) == [])
            #expect(try await indexes((0..<2000).map { $0 * 5..<$0 * 5 + 1 }) == [0, 5, 10])
        }
    }

    @Test("marked buckets of all projects come in the order of their keys, page by page", arguments: StoreBackend.available)
    func dirty(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let keys = (["0", "a", "a-b", "a0", "a_b", "ab", "b"] as [ProjectID]).flatMap { project in
                [-3, -1, 0, 2, 100].map { key($0, project) }
            }
            try await store.mark(.minute, keys.shuffled())
            try await store.mark(.hour, [key(0, "a")])
            #expect(try await store.dirtyBuckets(.minute, after: nil, limit: 100).map(\.key) == keys)
            for limit in [1, 3, 34, 35] {
                var paged: [BucketKey] = []
                while paged.count <= keys.count {
                    let page = try await store.dirtyBuckets(.minute, after: paged.last, limit: limit).map(\.key)
                    paged += page
                    if page.count < limit { break }
                }
                #expect(paged == keys)
            }
            #expect(try await store.dirtyBuckets(.minute, after: key(-2, "a"), limit: 2).map(\.key) == [key(-1, "a"), key(0, "a")])
            _ = try await store.roll(.minute, keys.dropFirst(3).map { RolledBucket(key: $0, version: 1, groups: []) })
            #expect(try await store.dirtyBuckets(.minute, after: nil, limit: 100).map(\.key) == Array(keys.prefix(3)))
            #expect(try await store.dirtyBuckets(.hour, after: nil, limit: 100) == [BucketVersion(key: key(0, "a"), version: 1, done: 0)])
        }
    }

    @Test("racing marks are all counted, and of racing rolls the newest stays", arguments: StoreBackend.available)
    func racing(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask { for _ in 0..<10 { try await store.mark(.minute, [key(1), key(2)]) } }
                }
                try await group.waitForAll()
            }
            #expect(try await store.rollups(.minute, project: "p", in: [0..<9]).map(\.version) == [80, 80])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for version in (1...80).shuffled() as [Int64] {
                    let rolled = RolledBucket(
                        key: key(1), version: version, groups: [RollupGroup(type: "t", source: "s", count: version)])
                    group.addTask { _ = try await store.roll(.minute, [rolled]) }
                }
                try await group.waitForAll()
            }
            let groups = [RollupGroup(type: "t", source: "s", count: 80)]
            #expect(try await store.rollup(.minute, key(1)) == Rollup(key: key(1), version: 80, done: 80, dirty: false, groups: groups))
        }
    }
}
