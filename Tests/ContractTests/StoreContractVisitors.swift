import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: visitor ids and their secrets", .timeLimit(.minutes(2)))
struct StoreContractVisitors {
    private static func secret(_ number: UInt8) -> [UInt8] { [0, 255] + Array(repeating: number, count: 30) }

    @Test("an event's visitor id is kept, read and scanned", arguments: StoreBackend.available)
    func events(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let ids = ["00112233445566778899aabbccddeeff", nil]
            try await store.add(ids.enumerated().map { stored("\($0)", at: noon + .milliseconds($0), visitorId: $1) })
            #expect(try await store.event(project: "p", id: "0")?.event.visitorId == ids[0])
            #expect(
                try await store.events(matching: Selection(project: "p"), after: nil, limit: 9).map(\.event.visitorId) == ids.reversed())
            #expect(try await store.scan(Selection(project: "p"), in: [noon..<noon + .seconds(1)]).map(\.visitorId) == ids)
        }
    }

    @Test("of those who draw a day's secret at the same time one wins, and all get the same", arguments: StoreBackend.available)
    func drawing(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let found = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                for number in 1...8 as ClosedRange<UInt8> {
                    group.addTask { try await store.visitorSecret(of: 20_000, orElse: Self.secret(number)) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(found).count == 1 && found[0].count == 32)
            #expect(try await store.visitorSecret(of: 20_000, orElse: Self.secret(9)) == found[0])
            #expect(try await store.visitorSecret(of: 20_001, orElse: Self.secret(9)) == Self.secret(9))
        }
    }

    @Test("secrets of earlier days are deleted, and never come again", arguments: StoreBackend.available)
    func deleting(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for day in -1...3 as ClosedRange<Int64> { _ = try await store.visitorSecret(of: day, orElse: Self.secret(1)) }
            for _ in 0..<2 { try await store.deleteVisitorSecrets(before: 2) }
            for day in -1...3 as ClosedRange<Int64> {
                #expect(try await store.visitorSecret(of: day, orElse: Self.secret(2)) == Self.secret(day < 2 ? 2 : 1))
            }
        }
    }

    @Test("a project's switch is off until it is set, and leaves the rest of its record alone", arguments: StoreBackend.available)
    func switching(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.createRecord(of: "p", retentionDays: 7, at: noon)
            #expect(try await store.newestRecords(of: ["p"]).first?.hasVisitorIds == false)
            for isOn in [true, true, false, true] {
                try await store.setVisitorIds(of: "p", to: isOn)
                let record = try #require(try await store.newestRecords(of: ["p"]).first)
                #expect(record.hasVisitorIds == isOn && record.retentionDays == 7)
            }
            try await store.setVisitorIds(of: "new", to: true)
            #expect(try await store.projectRecords().first { $0.project == "new" } == ProjectRecord(project: "new", hasVisitorIds: true))
        }
    }
}
