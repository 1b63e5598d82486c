package import AnalyticsCore
internal import Synchronization

extension MemoryStore {
    private struct Row: Hashable, Comparable {
        var minute: Int64
        var type: BytewiseString
        var source: BytewiseString
        var received: Int64?

        static func < (a: Self, b: Self) -> Bool {
            (a.minute, a.type, a.source, a.received ?? 0) < (b.minute, b.type, b.source, b.received ?? 0)
        }
    }

    package func countEvents<Reducer: CountReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], into reducer: Reducer
    ) async throws(StoreError) -> Reducer {
        try await read("countEvents") { (snapshot) async throws(StoreError) in
            state.withLock { $0.countedRanges += ranges }
            let selected = try await snapshot.select(selection, "countEvents") { event in ranges.contains { $0.contains(event.timestamp) } }
            var rows: [Row: (count: Int64, bots: Int64)] = [:]
            for stored in selected {
                let event = stored.event
                let row = Row(
                    minute: event.timestamp.minute, type: BytewiseString(event.type), source: BytewiseString(event.source),
                    received: reducer.isByReceipt ? event.receivedAt.day : nil)
                rows[row, default: (0, 0)].count += 1
                if stored.isBot { rows[row, default: (0, 0)].bots += 1 }
            }
            var reducer = reducer
            for (row, counts) in rows.sorted(by: { $0.key < $1.key }) {
                let count = EventCount(
                    minute: row.minute, type: row.type.text, source: row.source.text, count: counts.count, bots: counts.bots,
                    received: row.received)
                guard reducer.add(count) else { break }
            }
            reducer.finish()
            return reducer
        }
    }

    package func extent(project: ProjectID) async throws(StoreError) -> Range<Timestamp>? {
        try await read("extent") { state in
            var spans = state.events.values.filter { $0.event.project == project && $0.event.timestamp.isValid }.map { stored in
                let minute = stored.event.timestamp.minute
                return Timestamp(minute: minute)..<Timestamp(minute: minute + 1)
            }
            for tier in [RollupTier.minute, .hour] {
                for index in state.tiers[tier]!.keys.filter({ $0.project == project }).map(\.index) where tier.indexes.contains(index) {
                    spans.append(Timestamp(index: index, of: tier.milliseconds)..<Timestamp(index: index + 1, of: tier.milliseconds))
                }
            }
            guard let start = spans.map(\.lowerBound).min(), let end = spans.map(\.upperBound).max() else { return nil }
            return start..<end
        }
    }

    package func projects() async throws(StoreError) -> [ProjectID] {
        try await read("projects") { state in
            let keys = state.tiers.values.flatMap { $0.keys.map(\.project) }
            return Set(state.events.values.map(\.event.project) + keys).sorted()
        }
    }
}
