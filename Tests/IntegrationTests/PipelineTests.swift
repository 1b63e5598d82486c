import Foundation
import TestSupport
import Testing

/// The whole way, on both sets of backends.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct PipelineTests {
    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        case embedded
        case real

        static var available: [Kind] { TestServices.areThere ? allCases : [.embedded] }
        var testDescription: String { rawValue }

        func backends() async throws -> TestBackends {
            switch self {
            case .embedded: try .embedded()
            case .real: try await .real()
            }
        }
    }

    @Test("One event goes from POST to a count, to a listing and to itself", arguments: Kind.available)
    func oneEvent(_ kind: Kind) async throws {
        let service = try await ServiceProcess.serve(try await kind.backends())
        defer { service.terminate() }
        let accepted = try await service.post(
            "/api/v1/events?wait=stored&timeout=20",
            #"{"id":"e-1","type":"page_view","source":"web","timestamp":"2026-03-01T12:00:00Z","#
                + #""data":{"$set":{"a.b":1.5},"":[true,null]}}"#)
        #expect(accepted.status == 200, "\(accepted.text)")

        let counts = try await service.get("/api/v1/events/counts")
        #expect(counts.json["counts"] as? [String: Int] == ["page_view": 1])
        #expect(counts.headers["x-cache"] == "MISS")
        // The answer came after the marks: nothing changes any more. A cache that is slow is not waited for.
        try await eventually("it is in the cache") { try await service.get("/api/v1/events/counts").headers["x-cache"] == "HIT" }

        let event = try await service.get("/api/v1/events/e-1")
        #expect(event.json["timestamp"] as? String == "2026-03-01T12:00:00.000Z")
        #expect(event.text.contains(#""data":{"$set":{"a.b":1.5},"":[true,null]}"#), "\(event.text)")
        let page = try await service.get("/api/v1/events?type=page_view&data.%24set=1")
        #expect(page.status == 400, "a path component that begins with $ is refused: \(page.text)")
        let listed = try await service.get("/api/v1/events?source=web")
        #expect((listed.json["events"] as? [[String: Any]])?.count == 1)
    }

    @Test("The same id again is a duplicate and changes nothing", arguments: Kind.available)
    func duplicates(_ kind: Kind) async throws {
        let service = try await ServiceProcess.serve(try await kind.backends())
        defer { service.terminate() }
        let event = #"{"id":"e-1","type":"a","source":"s","data":{"n":1}}"#
        let other = #"{"id":"e-1","type":"b","source":"s","data":{"n":2}}"#
        _ = try await service.post("/api/v1/events?wait=stored&timeout=20", event)
        for body in [event, other] {
            let again = try await service.post("/api/v1/events?wait=stored&timeout=20", body)
            #expect(again.json["duplicates"] as? Int == 1, "\(again.text)")
        }
        #expect(try await service.get("/api/v1/events/counts").json["counts"] as? [String: Int] == ["a": 1])
        try await eventually("the conflict is in the dead letters") {
            try await service.get("/metrics").text.contains(#"analytics_events_dead_lettered_total{reason="conflicting_id"} 1"#)
        }
    }

    @Test("What was accepted before kill -9 is stored and counted after the next start", arguments: Kind.available)
    func killAll(_ kind: Kind) async throws {
        let backends = try await kind.backends()
        var accepted = 0
        for round in 0..<3 {
            let service = try await ServiceProcess.serve(backends)
            for batch in 0..<10 {
                let events = (0..<200).map { #"{"id":"\#(round)-\#(batch)-\#($0)","type":"t\#($0 % 3)","source":"s","data":null}"# }
                let answer = try await service.post("/api/v1/events/batch", "[\(events.joined(separator: ","))]")
                #expect(answer.status == 202, "\(answer.text)")
                accepted += answer.json["accepted"] as? Int ?? 0
            }
            service.kill()
        }
        let service = try await ServiceProcess.serve(backends)
        defer { service.terminate() }
        #expect(accepted == 6_000)
        try await eventually("all \(accepted) are counted", log: service.output) { try await service.total() == accepted }
        try await Self.expectReconciled(backends, events: accepted)
    }

    @Test("SIGTERM drains: what is stored is acknowledged, the rest waits, and the process ends with 0", arguments: Kind.available)
    func drains(_ kind: Kind) async throws {
        let backends = try await kind.backends()
        let service = try await ServiceProcess.serve(backends)
        let lines = (0..<2_000).map { #"{"id":"\#($0)","type":"t","source":"s","data":null}"# }.joined(separator: "\n")
        let answer = try await service.post("/api/v1/events/batch", lines, type: "application/x-ndjson")
        #expect(answer.json["accepted"] as? Int == 2_000)
        #expect(service.terminate() == 0, "\(service.output())")
        let next = try await ServiceProcess.serve(backends)
        defer { next.terminate() }
        try await eventually("all are counted", log: next.output) { try await next.total() == 2_000 }
        // What the first had stored was acknowledged too, and did not come again.
        #expect(try await next.get("/metrics").text.contains("analytics_events_redelivered_total 0"))
    }

    /// Waits until nothing is marked, then has every rollup compared with its events.
    static func expectReconciled(_ backends: TestBackends, events: Int) async throws {
        try await eventually("reconcile finds nothing marked", within: .seconds(60)) {
            let result = try await Command.analytics(["reconcile"], backends)
            return result.status == 0 && result.output.hasPrefix("\(events) events") && result.output.contains(" 0 marked, 0 differences")
        }
    }
}
