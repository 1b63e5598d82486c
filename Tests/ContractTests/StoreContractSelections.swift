import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: what a selection lists is what it counts")
struct StoreContractSelections {
    static let names = ["é", "e\u{301}", "a\u{0}b", "$in"]

    static let conditions = [
        [], [DataCondition(path: ["n"], values: ["1", "2"])],
        [DataCondition(path: ["n"], values: ["3"]), DataCondition(path: ["tags"], values: ["0", "4"])],
        [DataCondition(path: ["n", "1"], values: ["3"])],
    ]

    static let ranges = [
        [noon..<noon + .seconds(600)], [noon + .seconds(30)..<noon + .seconds(70), noon + .seconds(75)..<noon + .seconds(200)],
    ]

    static func event(_ index: Int) -> StoredEvent {
        let data = #"{"n":\#(index % 4),"tags":["\#(index % 5)"]}"#
        return stored(
            "\(index)", type: "t\(index % 3)", source: "s\(index % 2)", at: noon + .milliseconds(index * 1_700),
            data: index % 7 == 0 ? nil : data, userId: index % 6 > 3 ? nil : names[index % 6],
            anonymousId: index % 5 > 3 ? nil : names[index % 5], correlationId: index % 10 > 3 ? nil : names[index % 10])
    }

    static var selections: [Selection] {
        var selections: [Selection] = []
        for users in [[], ["é"], ["e\u{301}", "a\u{0}b", "none"]] {
            for anonymous in [[], ["é", "$in"]] {
                for correlations in [[], ["$in"], names] {
                    selections += conditions.map { data in
                        Selection(
                            project: "p", types: ["t0", "t1"], userIds: users, anonymousIds: anonymous, correlationIds: correlations,
                            data: data)
                    }
                }
            }
        }
        return selections
    }

    private func listed(_ selection: Selection, in ranges: [Range<Timestamp>], _ store: any Store) async throws -> [EventCount] {
        var counts: [String: EventCount] = [:]
        for range in ranges {
            var part = selection
            (part.from, part.to) = (range.lowerBound, range.upperBound)
            for event in try await store.events(matching: part, after: nil, limit: 1_000).map(\.event) {
                let row = EventCount(minute: event.timestamp.minute, type: event.type, source: event.source, count: 0)
                counts["\(row.minute) \(row.type) \(row.source)", default: row].count += 1
            }
        }
        return counts.sorted { $0.key < $1.key }.map(\.value)
    }

    @Test("users, correlations and data conditions are counted as they are listed", arguments: StoreBackend.available)
    func conditions(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<240).map(Self.event))
            for selection in Self.selections {
                for ranges in Self.ranges {
                    let rows = try await store.countEvents(selection, in: ranges, into: FirstRows(.max)).rows
                    #expect(try await rows == listed(selection, in: ranges, store), "\(selection) \(ranges)")
                }
            }
            var user = Selection(project: "p", userIds: ["é"])
            for data in Self.conditions.prefix(2) {
                user.data = data
                let taken = try await store.countEvents(user, in: Self.ranges[0], into: FirstRows(3))
                #expect(taken.rows.count == 3 && taken.isFinished)
            }
        }
    }
}
