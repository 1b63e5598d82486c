import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: counting, generations and extent")
struct StoreContractCounting {
    static func group(_ count: Int64, _ type: String = "view", _ source: String = "web") -> RollupGroup {
        RollupGroup(type: type, source: source, count: count)
    }

    @Test("events are counted by minute, type and source, in their order", arguments: StoreBackend.available)
    func minutes(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add([
                stored("1", at: noon), stored("2", at: noon + .milliseconds(59_999)), stored("3", type: "buy", at: noon + .seconds(1)),
                stored("4", source: "app", at: noon + .seconds(2)), stored("5", at: noon + .seconds(60)),
                stored("6", at: noon + .seconds(180)), stored("7", at: noon - .milliseconds(1)),
            ])
            let counted = try await store.countEvents(project: "p", in: [noon..<noon + .seconds(180)])
            #expect(
                counted == [
                    MinuteCounts(minute: noon.minute, groups: [Self.group(1, "buy"), Self.group(1, "view", "app"), Self.group(2)]),
                    MinuteCounts(minute: noon.minute + 1, groups: [Self.group(1)]),
                ])
            #expect(try await store.countEvents(project: "p", in: []) == [])
            #expect(try await store.countEvents(project: "p", in: [noon..<noon]) == [])
            #expect(try await store.countEvents(project: "none", in: [.earliest..<Timestamp.latest]) == [])
        }
    }

    @Test("ranges may cut minutes, and several may cut the same one", arguments: StoreBackend.available)
    func ranges(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            // One event each second for five minutes.
            try await store.add((0..<300).map { stored("\($0)", at: noon + .seconds($0)) })
            func counts(_ ranges: [(Int, Int)]) async throws -> [Int64] {
                let ranges = ranges.map { noon + .seconds($0.0)..<noon + .seconds($0.1) }
                var counts: [Int64] = Array(repeating: 0, count: 5)
                for minute in try await store.countEvents(project: "p", in: ranges) {
                    #expect(minute.groups.count == 1)
                    counts[Int(minute.minute - noon.minute)] += minute.groups.reduce(0) { $0 + $1.count }
                }
                return counts
            }
            #expect(try await counts([(30, 61)]) == [30, 1, 0, 0, 0])
            #expect(try await counts([(10, 20), (70, 80), (299, 400)]) == [10, 10, 0, 0, 1])
            #expect(try await counts([(0, 10), (20, 30), (50, 130)]) == [30, 60, 10, 0, 0])
            #expect(try await counts((0..<150).map { ($0 * 2, $0 * 2 + 1) }) == [30, 30, 30, 30, 30])
        }
    }

    @Test("many ranges are one call", arguments: StoreBackend.available)
    func manyRanges(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<1500).map { stored("\($0)", at: noon + .seconds($0 * 60)) })
            let ranges = (0..<1500).map { noon + .seconds($0 * 60)..<noon + .seconds($0 * 60 + 1) }
            let counted = try await store.countEvents(project: "p", in: ranges)
            #expect(counted.map(\.minute) == (0..<1500).map { noon.minute + $0 })
            #expect(counted.allSatisfy { $0.groups == [Self.group(1)] })
        }
    }

    @Test("minutes before 1970 end where they should", arguments: StoreBackend.available)
    func negative(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add(
                [-60_001, -60_000, -1, 0, 59_999].enumerated().map { stored("\($0)", at: Timestamp(milliseconds: $1)) } + [
                    stored("first", at: .earliest)
                ])
            let counted = try await store.countEvents(project: "p", in: [.earliest..<Timestamp.latest])
            #expect(counted.map(\.minute) == [Timestamp.earliest.minute, -2, -1, 0])
            #expect(counted.map { $0.groups.map(\.count) } == [[1], [1], [2], [2]])
        }
    }

    @Test("every group of a minute is counted, in the order of its bytes", arguments: StoreBackend.available)
    func manyGroups(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<1500).map { stored("\($0)", type: "type\($0)", at: noon + .milliseconds($0)) })
            try await store.add((0..<5).map { stored("big\($0)", type: "big") } + [stored("next", at: noon + .seconds(60))])
            let counted = try await store.countEvents(project: "p", in: [noon..<noon + .seconds(120)])
            let all = [Self.group(5, "big")] + (0..<1500).map { Self.group(1, "type\($0)") }
            #expect(
                counted == [
                    MinuteCounts(minute: noon.minute, groups: all.sorted { $0.type.utf8.lexicographicallyPrecedes($1.type.utf8) }),
                    MinuteCounts(minute: noon.minute + 1, groups: [Self.group(1)]),
                ])
        }
    }

    @Test("only the selection's types and sources are counted", arguments: StoreBackend.available)
    func selection(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let names = ["é", "e\u{301}", "a\u{0}b", "a", "$in", "'", "1"]
            for (number, type) in names.enumerated() {
                try await store.add(names.enumerated().map { stored("\(number) \($0)", type: type, source: $1) })
            }
            for types in [[], ["é"], ["a\u{0}b", "$in", "none"], names, Array(repeating: "a", count: 100)] {
                for sources in [[], ["e\u{301}"], ["a", "'"], ["A"]] {
                    let selection = Selection(project: "p", types: types, sources: sources)
                    let rows = try await store.countEvents(selection, in: [noon..<noon + .seconds(1)], into: FirstRows(.max)).rows
                    let expected =
                        names.count { name in types.isEmpty || types.contains { bytes($0) == bytes(name) } }
                        * names.count { name in sources.isEmpty || sources.contains { bytes($0) == bytes(name) } }
                    #expect(rows.count == expected && rows.allSatisfy { $0.count == 1 }, "\(types) \(sources)")
                }
            }
        }
    }

    @Test("no more is given than is taken, and what is given is finished", arguments: StoreBackend.available)
    func reducers(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<20).map { stored("\($0)", at: noon + .seconds($0 * 90)) })
            let ranges = (0..<20).map { noon + .seconds($0 * 90)..<noon + .seconds($0 * 90 + 1) }
            for limit in [1, 7, 20, 99] {
                let taken = try await store.countEvents(Selection(project: "p"), in: ranges, into: FirstRows(limit))
                #expect(taken.rows.count == min(limit, 20) && taken.isFinished)
                #expect(taken.rows.map(\.minute) == (0..<min(limit, 20)).map { (noon + .seconds($0 * 90)).minute })
            }
            #expect(try await store.countEvents(Selection(project: "p"), in: [], into: FirstRows(1)).isFinished)
        }
    }

    @Test("types and sources are told apart byte by byte", arguments: StoreBackend.available)
    func bytewise(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let types = ["é", "e\u{301}", "E", "e", "$e", "a.b", "null", "1"]
            try await store.add(types.enumerated().map { stored("\($0)", type: $1, source: $1) })
            let groups = try await store.countEvents(project: "p", in: [noon..<noon + .seconds(1)]).first?.groups ?? []
            #expect(Set(groups.map { bytes($0.type) }) == Set(types.map { bytes($0) }))
            #expect(groups.allSatisfy { $0.count == 1 && bytes($0.source) == bytes($0.type) })
        }
    }

    @Test("a generation is the sum of its days, and rises with each of them", arguments: StoreBackend.available)
    func generation(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            #expect(try await store.generation(project: "p", days: 0..<10) == 0)
            try await store.bumpGenerations([key(3), key(-4), key(3, "q")])
            let third = try await store.generation(project: "p", days: 3..<4)
            let before = try await store.generation(project: "p", days: -4 ..< -3)
            let other = try await store.generation(project: "q", days: 0..<10)
            try await store.bumpGenerations([key(3)])
            try await store.bumpGenerations([])
            #expect(try await store.generation(project: "p", days: 0..<10) == third + 1)
            #expect(try await store.generation(project: "p", days: -10..<10) == third + 1 + before)
            #expect(try await store.generation(project: "p", days: 3..<4) == third + 1)
            #expect(try await store.generation(project: "p", days: 4..<10) == 0)
            #expect(try await store.generation(project: "p", days: -3..<3) == 0)
            #expect(try await store.generation(project: "p", days: -800_000..<3_000_000) == third + 1 + before)
            #expect(try await store.generation(project: "q", days: 0..<10) == other)
        }
    }

    @Test("a day is rolled like another bucket, which leaves its generation as it is", arguments: StoreBackend.available)
    func days(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.mark(.day, [key(3), key(4)])
            try await store.mark(.day, [key(3)])
            let generation = try await store.generation(project: "p", days: 3..<5)
            let marked = try await store.dirtyBuckets(.day, after: nil, limit: 9)
            #expect(marked.map(\.key) == [key(3), key(4)] && marked.allSatisfy { $0.done == 0 && $0.version > 0 })
            #expect(marked.reduce(0) { $0 + $1.version } == generation)
            let groups = [Self.group(7)]
            #expect(try await store.roll(.day, [RolledBucket(key: key(3), version: marked[0].version, groups: groups)]) == 1)
            let day = try await store.rollup(.day, key(3))
            #expect(day == Rollup(key: key(3), version: marked[0].version, done: marked[0].version, dirty: false, groups: groups))
            #expect(try await store.generation(project: "p", days: 3..<5) == generation)
            try await store.mark(.day, [key(3)])
            #expect(try await store.rollup(.day, key(3))?.dirty == true)
            #expect(try await store.generation(project: "p", days: 3..<5) == generation + 1)
        }
    }

    @Test("two stores do not come to the same generations", arguments: StoreBackend.available)
    func generationsOfTwoStores(backend: StoreBackend) async throws {
        var generations: Set<Int64> = []
        for _ in 0..<2 {
            try await withStore(backend) { store async throws in
                try await store.bumpGenerations([key(3), key(4)])
                for day: Int64 in [3, 4] { generations.insert(try await store.generation(project: "p", days: day..<day + 1)) }
            }
        }
        #expect(generations.count == 4 && !generations.contains(0))
    }

    @Test("racing bumps are all counted", arguments: StoreBackend.available)
    func racing(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.bumpGenerations([key(1), key(2), key(3)])
            let first = try await store.generation(project: "p", days: 1..<4)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        let days = [key(1), key(2), key(3)]
                        for _ in 0..<10 { try await store.bumpGenerations(task.isMultiple(of: 2) ? days : days.reversed()) }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await store.generation(project: "p", days: 1..<4) == first + 240)
        }
    }

    @Test("the extent holds every event and bucket, to the hour", arguments: StoreBackend.available)
    func extent(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            #expect(try await store.extent(project: "p") == nil)
            let early = Timestamp(milliseconds: -5)
            try await store.add([stored("a", at: early), stored("b"), stored("c", project: "q", at: .earliest)])
            let events = try #require(try await store.extent(project: "p"))
            #expect(events.contains(early) && events.contains(noon))
            #expect(events.lowerBound.hour == early.hour && events.upperBound <= noon + .seconds(3600))
            try await store.mark(.minute, [key(noon.minute + 600), key(-600)])
            let buckets = try #require(try await store.extent(project: "p"))
            #expect(buckets.lowerBound.hour == -10 && buckets.contains(noon + .seconds(36_059)))
            #expect(buckets.upperBound <= noon + .seconds(39_600))
            #expect(try await store.extent(project: "q")?.lowerBound == .earliest)
        }
    }

    @Test("projects are those with events or buckets, each once", arguments: StoreBackend.available)
    func projects(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            #expect(try await store.projects() == [])
            try await store.add([stored("a", project: "q"), stored("b", project: "p"), stored("c", project: "p-x")])
            try await store.mark(.minute, [key(1, "p"), key(2, "m")])
            try await store.mark(.hour, [key(1, "h")])
            #expect(try await store.projects().sorted() == ["h", "m", "p", "p-x", "q"])
        }
    }

    @Test("preparing again changes nothing, and a store that is there is healthy", arguments: StoreBackend.available)
    func prepare(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add([stored("a")])
            try await store.mark(.minute, [key(1)])
            try await store.prepare()
            try await store.checkHealth()
            #expect(try await store.event(project: "p", id: "a") == stored("a"))
            #expect(try await store.dirtyBuckets(.minute, after: nil, limit: 9).count == 1)
        }
    }
}

struct FirstRows: CountReducer {
    let limit: Int
    private(set) var rows: [EventCount] = []
    private(set) var isFinished = false

    init(_ limit: Int) {
        self.limit = limit
    }

    mutating func add(_ row: EventCount) -> Bool {
        rows.append(row)
        return rows.count < limit
    }

    mutating func finish() { isFinished = true }
}
