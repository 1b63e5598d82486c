import TestSupport
import Testing

@testable import AnalyticsCore

@Suite("Store contract: where the events of minutes have changed")
struct StoreContractStamps {
    private func mark(_ store: any Store, _ parts: [Int]?, causes: BucketCauses = [], minute: Int64 = 1) async throws {
        try await store.mark(.minute, [BucketMark(key: key(minute), causes: causes, parts: parts.map { MinuteParts($0) })])
    }

    @Test("marks tell the parts that they changed, and a minute that is created tells none", arguments: StoreBackend.available)
    func told(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            #expect(try await store.minuteStamp(key(1)) == nil)
            try await mark(store, [0, 7])
            #expect(try await store.minuteStamp(key(1)) == MinuteStamp(version: 1))
            try await mark(store, [0, 239])
            try await mark(store, [0, 100], causes: .late)
            #expect(try await store.minuteStamp(key(1)) == MinuteStamp(version: 3, told: 2, marks: [0: 2, 100: 1, 239: 1]))
            try await mark(store, nil)
            try await mark(store, [])
            #expect(try await store.minuteStamp(key(1)) == MinuteStamp(version: 5, told: 2, marks: [0: 2, 100: 1, 239: 1]))
            #expect(try await store.minuteStamp(BucketKey(project: "q", index: 1)) == nil)
            #expect(try await store.minuteStamp(key(2)) == nil)
        }
    }

    @Test("minutes marked in one call each tell their own parts", arguments: StoreBackend.available)
    func several(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.mark(.minute, (0..<4).map { key($0) })
            let parts: [MinuteParts?] = [MinuteParts([1]), MinuteParts([2, 3]), nil, MinuteParts([1])]
            let marks = parts.enumerated().map { BucketMark(key: key(Int64($0)), causes: $0 == 3 ? .late : [], parts: $1) }
            try await store.mark(.minute, marks + [BucketMark(key: key(9), parts: MinuteParts([4]))])
            let stamps = [
                MinuteStamp(version: 2, told: 1, marks: [1: 1]), MinuteStamp(version: 2, told: 1, marks: [2: 1, 3: 1]),
                MinuteStamp(version: 2), MinuteStamp(version: 2, told: 1, marks: [1: 1]),
            ]
            for (minute, stamp) in stamps.enumerated() { #expect(try await store.minuteStamp(key(Int64(minute))) == stamp, "\(minute)") }
            #expect(try await store.minuteStamp(key(9)) == MinuteStamp(version: 1))
            #expect(try await store.histories(project: "p", minutes: [0..<9]).map(\.causes) == [[], [], [], .late])
            // Hours and days have none.
            try await store.mark(.hour, [BucketMark(key: key(0), parts: MinuteParts([1]))])
            #expect(try await store.minuteStamp(key(0))?.version == 2)
        }
    }

    @Test("a roll leaves what marks have told, and reads the same", arguments: StoreBackend.available)
    func rolled(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await mark(store, nil)
            for part in 0..<240 { try await mark(store, [part]) }
            let stamp = MinuteStamp(version: 241, told: 240, marks: Dictionary(uniqueKeysWithValues: (0..<240).map { ($0, 1) }))
            #expect(try await store.minuteStamp(key(1)) == stamp)
            let table = GroupTable([RollupGroup(type: "a", source: "s", count: 3)])
            let rolled = RolledBucket(key: key(1), version: 241, table: table, events: 3, at: noon)
            #expect(try await store.roll(.minute, [rolled]) == 1)
            #expect(try await store.minuteStamp(key(1)) == stamp)
            #expect(
                try await store.rollup(.minute, key(1))
                    == Rollup(key: key(1), version: 241, done: 241, dirty: false, table: table))
            #expect(try await store.histories(project: "p", minutes: [0..<9]).first?.events == 3)
            try await store.unmark(.minute, [BucketVersion(key: key(1), version: 241, done: 241)])
            #expect(try await store.minuteStamp(key(1)) == stamp)
        }
    }

    @Test("of racing marks each part is told as often as it was changed", arguments: StoreBackend.available)
    func racing(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await mark(store, nil)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        let parts = number.isMultiple(of: 4) ? nil : MinuteParts([number % 3, 200])
                        try await store.mark(.minute, [BucketMark(key: key(1), parts: parts)])
                    }
                }
                try await group.waitForAll()
            }
            let stamp = try #require(try await store.minuteStamp(key(1)))
            #expect(stamp.version == 41 && stamp.told == 30 && stamp.marks == [0: 10, 1: 10, 2: 10, 200: 30])
        }
    }
}
