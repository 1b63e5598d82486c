import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(5)))
struct CountQueryTests {
    private let store = MemoryStore()
    private var engine: QueryEngine { QueryEngine(store: store, cache: UnboundedCache(), gate: QueryGate()) }

    @Test func groupsComeLargestFirstAndTiesByName() {
        #expect(Counts(["b": 2, "a": 2, "c": 5, "B": 2]).groups.map(\.name) == ["c", "B", "a", "b"])
    }

    @Test func theLargestGroupsAreNamedAndTheOthersSummed() async throws {
        let events = (0..<1_500).flatMap { type in (0...(type == 7 ? 3 : 0)).map { (type, $0) } }.map { type, copy in
            sample("e\(type)-\(copy)", type: "t\(type)", at: noon + .milliseconds(type))
        }
        try await write(events, to: store)
        for _ in 0..<2 {
            let (counts, _) = try await engine.counts(CountQuery(project: Project.default))
            #expect(counts.total == 1_503 && counts.groups.count == 1_000 && counts.other == 500)
            let (two, _) = try await engine.counts(CountQuery(project: Project.default, limit: 2))
            #expect(two.groups.map(\.name) == ["t7", "t0"] && two.groups.map(\.count) == [4, 1] && two.other == 1_498)
            let (all, _) = try await engine.counts(CountQuery(project: Project.default, limit: 10_000))
            #expect(all.groups.count == 1_500 && all.other == 0)
            try await roller(store).finish()
        }
    }

    @Test func namesThatDifferInBytesOnlyAreDifferentNames() async throws {
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        try await write([sample("1", type: composed), sample("2", type: decomposed), sample("3", type: decomposed)], to: store)
        for _ in 0..<2 {
            let all = try await engine.counts(CountQuery(project: Project.default)).counts
            #expect(all.groups.map { Array($0.name.utf8) } == [Array(decomposed.utf8), Array(composed.utf8)])
            #expect(all.groups.map(\.count) == [2, 1])
            let one = try await engine.counts(CountQuery(project: Project.default, types: [composed])).counts
            #expect(one.total == 1)
            // Once from marked minutes, once from the hour.
            try await roller(store).finish()
        }
    }
}
