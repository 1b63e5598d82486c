package import AnalyticsCore

extension MemoryStore {
    package func mark(_ tier: RollupTier, _ marks: [BucketMark]) async throws(StoreError) {
        let steps: [RollupTier: Faults.Step] = [.minute: .markMinute, .hour: .markHour, .day: .markDay]
        try write(steps[tier]!) { state in
            for mark in marks {
                if tier == .minute { Self.markHistory(mark, &state) }
                if tier == .minute, state.tiers[tier]![mark.key] != nil {
                    state.stamps[mark.key, default: MinuteStamp(version: 0)].mark(mark.parts)
                }
                if state.tiers[tier]![mark.key] != nil {
                    state.tiers[tier]![mark.key]!.version += 1
                    state.tiers[tier]![mark.key]!.dirty = true
                } else {
                    let version = tier.firstVersion
                    state.tiers[tier]![mark.key] = Rollup(
                        key: mark.key, version: version, done: mark.table == nil ? 0 : version, dirty: mark.table == nil,
                        table: mark.table ?? .empty, received: mark.table == nil ? nil : mark.received)
                }
            }
        }
    }

    private static func markHistory(_ mark: BucketMark, _ state: inout State) {
        if state.histories[mark.key] == nil {
            state.histories[mark.key] = BucketHistory(
                key: mark.key, version: 1, done: mark.table == nil ? 0 : 1, events: mark.events, created: mark.causes)
        } else {
            state.histories[mark.key]!.version += 1
            state.histories[mark.key]!.causes.formUnion(mark.causes)
        }
    }

    package func histories(project: ProjectID, minutes: [Range<Int64>]) async throws(StoreError) -> [BucketHistory] {
        try await read("histories") { state in
            state.histories.values
                .filter { history in history.key.project == project && minutes.contains { $0.contains(history.key.index) } }
                .sorted { $0.key < $1.key }
        }
    }

    package func minuteStamp(_ minute: BucketKey) async throws(StoreError) -> MinuteStamp? {
        try await read("minuteStamp") { state in
            guard let bucket = state.tiers[.minute]![minute] else { return nil }
            let stamp = state.stamps[minute]
            return MinuteStamp(version: bucket.version, told: stamp?.told ?? 0, marks: stamp?.marks ?? [:])
        }
    }

    package func generation(project: ProjectID, days: Range<Int64>) async throws(StoreError) -> Int64 {
        try await read("generation") { state in
            state.tiers[.day]!.values.reduce(0) { $1.key.project == project && days.contains($1.key.index) ? $0 + $1.version : $0 }
        }
    }

    package func versions(_ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>]) async throws(StoreError) -> [Int64: Int64] {
        try await read("versions") { state in
            let found = state.tiers[tier]!.values
                .filter { bucket in bucket.key.project == project && ranges.contains { $0.contains(bucket.key.index) } }
            return Dictionary(uniqueKeysWithValues: found.map { ($0.key.index, $0.version) })
        }
    }

    package func dirtyBuckets(_ tier: RollupTier, after key: BucketKey?, limit: Int) async throws(StoreError) -> [BucketVersion] {
        try await read("dirtyBuckets") { state in
            let dirty = state.tiers[tier]!.values.filter { bucket in
                bucket.dirty && tier.indexes.contains(bucket.key.index) && key.map { $0 < bucket.key } ?? true
            }
            return dirty.sorted { $0.key < $1.key }.prefix(max(0, limit))
                .map { BucketVersion(key: $0.key, version: $0.version, done: $0.done) }
        }
    }

    package func rollups(
        _ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>], byteLimit: Int, content: BucketContent
    ) async throws(StoreError) -> RollupPage {
        try await read("rollups \(tier)") { state in
            let found = state.tiers[tier]!.values
                .filter { bucket in bucket.key.project == project && ranges.contains { $0.contains(bucket.key.index) } }
                .sorted { $0.key < $1.key }.map { rollup in
                    var rollup = rollup
                    if content == .groups { rollup.received = nil }
                    if content == .received { rollup.table = .overflow }
                    return rollup
                }
            var bytes = 0
            for (index, rollup) in found.enumerated() {
                if index > 0, bytes >= byteLimit {
                    return RollupPage(rollups: Array(found.prefix(index)), next: found[index - 1].key.index + 1)
                }
                bytes += rollup.size
            }
            return RollupPage(rollups: found)
        }
    }

    package func roll(_ tier: RollupTier, _ buckets: [RolledBucket]) async throws(StoreError) -> Int {
        try write(.roll) { state in
            var applied = 0
            for bucket in buckets {
                guard var present = state.tiers[tier]![bucket.key], present.done < bucket.version else { continue }
                present.table = bucket.table
                present.received = bucket.received
                present.done = bucket.version
                if tier == .minute { state.histories[bucket.key]?.roll(bucket) }
                present.dirty = present.version != bucket.version
                state.tiers[tier]![bucket.key] = present
                applied += 1
            }
            return applied
        }
    }

    package func fillReceived(_ tier: RollupTier, _ buckets: [Rollup]) async throws(StoreError) {
        try write(.roll) { state in
            for bucket in buckets {
                guard let present = state.tiers[tier]![bucket.key], present.done == bucket.done, present.received == nil else { continue }
                state.tiers[tier]![bucket.key]!.received = bucket.received
            }
        }
    }

    package func unmark(_ tier: RollupTier, _ buckets: [BucketVersion]) async throws(StoreError) {
        try write(.unmark) { state in
            for bucket in buckets where state.tiers[tier]![bucket.key]?.version == bucket.version {
                state.tiers[tier]![bucket.key]!.dirty = false
            }
        }
    }
}
