import Foundation
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: TestServices.areThere), .timeLimit(.minutes(5)))
struct ConservationTests {
    private static func total(_ service: ServiceProcess) async throws -> [String: Int] {
        let answer = try await service.get("/api/v1/pipeline")
        let total = try #require(answer.json["total"] as? [String: Any], "\(answer.status) \(answer.text)")
        return total.compactMapValues { $0 as? Int }
    }

    private static func batch(_ ids: Range<Int>) -> String {
        "[" + ids.map { #"{"id":"e\#($0)","type":"t","source":"s","data":{}}"# }.joined(separator: ",") + "]"
    }

    @Test("what two APIs accept adds up with what two processors settle, one of them killed over and over")
    func killedProcessors() async throws {
        let backends = try await TestBackends.real()
        let apis = [try await ServiceProcess.serve(backends, role: "api"), try await ServiceProcess.serve(backends, role: "api")]
        let steady = try await ServiceProcess.serve(backends, role: "processor")
        defer { for service in apis + [steady] { service.terminate() } }
        let batches = 60
        async let sent: Void = {
            for number in 0..<batches {
                // Each batch has half of the ids of the one before.
                let answer = try await apis[number % 2].post(
                    "/api/v1/events/batch", Self.batch(number * 100..<number * 100 + 200))
                #expect(answer.status == 202)
            }
        }()
        for _ in 0..<3 {
            let processor = try await ServiceProcess.serve(backends, role: "processor")
            try await Task.sleep(for: .milliseconds(300))
            processor.kill()
        }
        try await sent
        let accepted = batches * 200
        for api in apis {
            try await eventually("nothing is in flight", within: .seconds(60), log: steady.output) {
                let total = try await Self.total(api)
                return total["accepted"] == accepted && total["inFlight"] == 0
            }
        }
        let total = try await Self.total(apis[0])
        let settled = total["stored"]! + total["duplicates"]!
        #expect(settled <= accepted && settled + total["redelivered"]! >= accepted && total["uncounted"] == 0, "\(total)")
        #expect(total["stored"]! <= batches * 100 + 100)
        let answer = try await apis[1].get("/api/v1/pipeline")
        #expect(answer.json["addsUp"] as? Bool == true && answer.json["missing"] as? Int == 0, "\(answer.text)")
        #expect(answer.json["lagSeconds"] as? Double == 0)
    }

    @Test("an API that ends has written all that it accepted; one that is killed is never said to have lost events")
    func killedAPI() async throws {
        let backends = try await TestBackends.real()
        let witness = try await ServiceProcess.serve(backends, role: "api")
        let processor = try await ServiceProcess.serve(backends, role: "processor")
        defer { for service in [witness, processor] { service.terminate() } }
        let first = try await ServiceProcess.serve(backends, role: "api")
        #expect(try await first.post("/api/v1/events/batch?wait=stored&timeout=20", Self.batch(0..<50)).status == 200)
        #expect(first.terminate() == 0)
        var total = try await Self.total(witness)
        #expect(total["accepted"] == 50 && total["stored"] == 50 && total["uncounted"] == 0 && total["inFlight"] == 0, "\(total)")

        let second = try await ServiceProcess.serve(backends, role: "api")
        #expect(try await second.post("/api/v1/events/batch?wait=stored&timeout=20", Self.batch(50..<80)).status == 200)
        second.kill()
        total = try await Self.total(witness)
        #expect(total["stored"] == 80 && total["inFlight"] == 0 && total["redelivered"] == 0, "\(total)")
        #expect(total["accepted"]! + total["uncounted"]! == 80, "\(total)")
        #expect(try await witness.get("/api/v1/pipeline").json["missing"] as? Int == 0)
    }
}
