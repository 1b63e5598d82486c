import Foundation
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: TestServices.areThere), .timeLimit(.minutes(8)))
struct ReconnectMemoryTests {
    private static let prefetch = 500
    private static let events = 700

    @Test("With the store down, memory stays within 1.2 times what the prefetch takes, though the connection is lost twenty times")
    func lostConnections() async throws {
        try await OwnStack.with("mongodb", "rabbitmq") { stack in
            var backends = try TestBackends.embedded()
            // Attempts that fail soon: a session ends with the attempt that is under way.
            backends.environment.merge(
                ["MONGODB_URI": stack.mongoURI + "&serverSelectionTimeoutMS=500", "RABBITMQ_URL": stack.rabbitURL]) { $1 }
            let api = try await ServiceProcess.serve(backends, role: "api")
            defer { api.terminate() }
            let processor = try await ServiceProcess.serve(backends, role: "processor", settings: ["PREFETCH": "\(Self.prefetch)"])
            defer { processor.terminate() }
            try await stack("kill", "mongodb")

            // An event as large as allowed, alone in its message.
            let filling = String(repeating: "x", count: 262_000)
            for id in 0..<Self.events {
                let answer = try await api.post("/api/v1/events", #"{"id":"\#(id)","type":"t","source":"s","data":"\#(filling)"}"#)
                #expect(answer.status == 202, "\(answer.text)")
            }
            try await untilDelivered(Self.prefetch, to: processor)
            let before = try processor.memory("VmHWM")
            // From here on VmHWM is the highest of what follows (proc(5), clear_refs).
            try "5".write(toFile: "/proc/\(processor.processID)/clear_refs", atomically: false, encoding: .utf8)

            for _ in 0..<20 {
                let delivered = try await processor.metric("analytics_queue_delivered_total")
                try await stack("rabbitmqctl", "close_all_connections", "test")
                try await untilDelivered(delivered + Self.prefetch, to: processor)
            }
            let highest = try processor.memory("VmHWM")
            #expect(Double(highest) <= 1.2 * Double(before), "\(before / 1024) MB before, \(highest / 1024) MB at the highest")

            try await stack("start", "mongodb")
            try await eventually("all are counted", within: .seconds(60), log: processor.output) {
                (try? await api.total()) == Self.events
            }
            try await eventually("everything is acknowledged") {
                try await stack("rabbitmqctl", "list_queues", "name", "messages").contains("analytics.events\t0")
            }
            #expect(try await stack("rabbitmqctl", "list_queues", "name", "messages").contains("analytics.dead\t0"))
            try await PipelineTests.expectReconciled(backends, events: Self.events)
        }
    }

    private func untilDelivered(_ count: Int, to processor: ServiceProcess) async throws {
        try await eventually("\(count) deliveries", within: .seconds(40), log: processor.output) {
            try await processor.metric("analytics_queue_delivered_total") >= count
        }
    }
}
