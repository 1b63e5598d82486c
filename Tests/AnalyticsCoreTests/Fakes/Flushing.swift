import TestSupport

@testable import AnalyticsCore

/// Inserts events and marks them, as a flush does. Those with the ids `bots` are of bots.
func write(_ events: [Event], to store: MemoryStore, bots: Set<String> = []) async throws {
    _ = try await store.insert(events.map { stored($0, isBot: bots.contains($0.id)) })
    var marks = BucketMarks()
    for event in events { marks.touch(BucketKey(project: event.project, index: event.timestamp.minute)) }
    try await marks.write(to: store)
}

func roller(_ store: MemoryStore) -> Roller {
    Roller(store: store, logger: quiet)
}

extension MemoryStore {
    /// Marks buckets at random, and puts nonsense into what is marked: nobody may read it.
    func spoil(_ random: inout Seeded) {
        for tier in RollupTier.allCases {
            for bucket in buckets(tier) where random.chance(tier == .minute ? 30 : 50) {
                edit(tier, bucket.key) { rollup in
                    rollup.version += 1
                    rollup.dirty = true
                    rollup.groups = [RollupGroup(type: "t0", source: "s0", count: 1_000)]
                    rollup.received = ReceivedTable(bytes: [1, 100])
                }
                // A marked minute's hour is marked, always; and a marked hour's day.
                let hour = tier == .minute ? bucket.key.hour : bucket.key
                if tier == .minute { edit(.hour, hour) { ($0.version, $0.dirty) = ($0.version + 1, true) } }
                if tier != .day { edit(.day, hour.dayOfHour) { ($0.version, $0.dirty) = ($0.version + 1, true) } }
            }
        }
    }
}
