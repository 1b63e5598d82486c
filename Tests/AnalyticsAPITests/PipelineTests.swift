import AnalyticsCore
import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

struct PipelineTests {
    private static let minute = TestService.now.minute

    private static func write(_ store: MemoryStore, _ offset: Int64, _ writer: String, _ edit: (inout PipelineCounts) -> Void) async throws
    {
        var counts = PipelineCounts()
        edit(&counts)
        try await store.write([
            PipelineCell(project: "default", minute: minute + offset, writer: writer, revision: 1, counts: counts)
        ])
    }

    @Test func theAnswerSaysOfEachMinuteWhatBecameOfItsEvents() async throws {
        let service = TestService()
        try await Self.write(service.store, -59, "a") {
            ($0.accepted, $0.unconfirmed, $0.rejected) = (10, 2, [.tooDeep: 1, .invalidType: 4])
        }
        try await Self.write(service.store, -59, "p") {
            ($0.stored, $0.duplicates, $0.deadLettered, $0.erased, $0.redelivered) = (4, 1, 1, 1, 1)
        }
        try await Self.write(service.store, 0, "p") { ($0.stored, $0.through) = (5, TestService.now - .seconds(1)) }
        // Outside of the hour.
        try await Self.write(service.store, -60, "a") { $0.accepted = 100 }
        try await service.run { client in
            let answer = try await client.get("/api/v1/pipeline")
            #expect(answer.status == .ok && answer.headers[.cacheControl] == "no-store")
            let counts =
                #""accepted":10,"stored":4,"duplicates":1,"deadLettered":1,"erased":1,"inFlight":2,"redelivered":1,"uncounted":0,"unconfirmed":2,"#
                + #""rejected":{"invalid_type":4,"too_deep":1}}"#
            let present =
                #""accepted":0,"stored":5,"duplicates":0,"deadLettered":0,"erased":0,"inFlight":0,"redelivered":0,"uncounted":5,"unconfirmed":0,"rejected":{}}"#
            let total =
                #""accepted":10,"stored":9,"duplicates":1,"deadLettered":1,"erased":1,"inFlight":2,"redelivered":1,"uncounted":5,"unconfirmed":2,"#
                + #""rejected":{"invalid_type":4,"too_deep":1}}"#
            #expect(
                answer.text
                    == #"{"project":"default","asOf":"2026-03-01T12:00:00.000Z","from":"2026-03-01T11:01:00.000Z","to":"2026-03-01T12:01:00.000Z","#
                    + #""addsUp":false,"missing":2,"lagSeconds":3600.0,"total":{\#(total),"minutes":[{"minute":"2026-03-01T11:01:00.000Z",\#(counts),"#
                    + #"{"minute":"2026-03-01T12:00:00.000Z",\#(present)]}"#)
        }
    }

    @Test func theRangeIsOfWholeMinutes() async throws {
        let service = TestService()
        for minute in -3...0 as ClosedRange<Int64> { try await Self.write(service.store, minute, "a") { $0.accepted = 1 } }
        try await service.run { client in
            for (query, minutes) in [
                ("from=2026-03-01T11:58:59Z&to=2026-03-01T11:59:00.001Z", 2), ("from=2026-03-01T11:58:00Z&to=2026-03-01T11:59:00Z", 1),
                ("to=2026-03-01T11:59:00Z", 2), ("from=2026-02-28T12:01:00Z", 4), ("from=2026-03-01T12:00:59Z", 1),
            ] {
                let answer = try await client.get("/api/v1/pipeline?\(query)")
                #expect((answer.json["minutes"] as? [Any])?.count == minutes, "\(query): \(answer.text)")
            }
        }
    }

    @Test(arguments: [
        ("from=2026-02-28T12:00:00Z", "from"), ("from=2026-03-01T12:01:00Z", "from"), ("from=yesterday", "from"),
        ("from=2026-03-01T12:00:00Z&to=2026-03-01T12:00:00Z", "to"), ("interval=minute", "interval"),
    ])
    func aRangeThatIsNotKeptIsRefused(query: String, parameter: String) async throws {
        try await TestService().run { client in
            let answer = try await client.get("/api/v1/pipeline?\(query)")
            #expect(answer.status == .badRequest && answer.isProblem && answer.json["parameter"] as? String == parameter, "\(answer.text)")
        }
    }

    @Test func aStoreThatIsDownIsSaidToBe() async throws {
        let service = TestService()
        service.store.faults.down([.read])
        try await service.run { client in
            let answer = try await client.get("/api/v1/pipeline")
            #expect(answer.code == "store_unavailable")
        }
    }
}
