import AnalyticsJSON
import TestSupport

@testable import AnalyticsCore

/// A log of which segments hold all, some as it was, or nothing.
struct HistoryRig {
    let store = MemoryStore()
    let engine: QueryEngine
    /// With who did them.
    let facts: [HistoryEvent]

    init(_ histories: Histories, _ random: inout Seeded) async throws {
        engine = QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate())
        var histories = histories
        let days = histories.days + 4
        let builder = SegmentBuilder(
            store: store, clock: .fixed(histories.begin + .milliseconds(random.below(days * Int(Histories.day)))),
            elapsed: ManualClock().elapsed, chunkRows: [1, 2, 5, SegmentChunk.rowLimit].randomElement(using: &random)!, logger: quiet)
        if random.chance(50) { try await store.setProperties(of: Project.default, to: [PropertyPath("data.\(histories.property)")]) }
        for part in ["a", "b", "c"] {
            try await write(histories.events(part, count: 1 + random.below(80), &random), to: store)
            if random.chance(60) { try await builder.pass(everything: random.chance(70)) }
        }
        facts = histories.identified
    }

    /// A range that often begins or ends with an event, and sometimes types.
    func selection(_ random: inout Seeded, types: [String]) -> Selection {
        let first = facts.map(\.time).min()!
        let moments = (0..<2).map { _ in
            random.chance(50) ? facts.randomElement(using: &random)!.time : first + Int64(random.below(6 * Int(Histories.day)))
        }.sorted()
        return Selection(
            project: Project.default, types: random.chance(25) ? types : [], from: Timestamp(milliseconds: moments[0]),
            to: Timestamp(milliseconds: moments[1] + 1))
    }

    /// The selected events of each user, also those outside of the range, in the order of time.
    func users(_ selection: Selection) -> [[HistoryEvent]] {
        let selected = facts.filter { $0.user != nil && (selection.types.isEmpty || selection.types.contains($0.type)) }
        return Dictionary(grouping: selected) { $0.user! }.values.map { $0.sorted { $0.time < $1.time } }
    }

    /// The sessions that start in a range, with the events that are measured.
    static func sessions(_ facts: [HistoryEvent], gap: Int64, _ range: Range<Int64>) -> [[HistoryEvent]] {
        let chains = Dictionary(grouping: facts.filter { $0.user != nil }) { fact in
            BytewiseString("\(fact.user!.text) \(fact.session.map { "id \($0)" } ?? "none")")
        }
        return chains.values.flatMap { chain -> [[HistoryEvent]] in
            var sessions: [[HistoryEvent]] = []
            for fact in chain.sorted(by: { $0.time < $1.time }) {
                let pause = fact.session == nil ? gap : Histories.day
                if let last = sessions.last?.last, fact.time - last.time <= pause {
                    sessions[sessions.count - 1].append(fact)
                } else {
                    sessions.append([fact])
                }
            }
            return sessions.filter { range.contains($0[0].time) }.map { session in
                session.filter { $0.time - session[0].time <= Histories.day }
            }
        }
    }
}
