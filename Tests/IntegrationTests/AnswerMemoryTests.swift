import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct AnswerMemoryTests {
    @Test("300 clients that ask for large answers and read nothing take bounded memory, are cut, and leave the service to others")
    func unreadAnswers() async throws {
        let service = try await ServiceProcess.serve(try .embedded())
        defer { service.terminate() }
        let filling = String(repeating: "x", count: 250_000)
        for id in 0..<40 {
            let event = #"{"id":"\#(id)","type":"t","source":"s","data":"\#(filling)"}"#
            #expect(try await service.post("/api/v1/events?wait=stored", event).status == 200)
        }
        let before = try service.memory("VmRSS")

        // 7 MB of answer each, of which nothing is accepted.
        let field = String(repeating: #"\u0001"#, count: 600)
        let body = "[" + Array(repeating: #"{"\#(field)":1}"#, count: 1_000).joined(separator: ",") + "]"
        let post = "POST /api/v1/events/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body
        var unread: [UnreadConnection] = []
        for index in 0..<300 {
            let connection = try UnreadConnection(port: service.port)
            // One whose body finds no room is closed while it sends.
            try? await connection.send(index.isMultiple(of: 3) ? post : "GET /api/v1/events?limit=40 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            unread.append(connection)
            guard index.isMultiple(of: 20) else { continue }
            #expect(try await service.get("/health/live").status == 200)
            #expect(try await service.post("/api/v1/events", #"{"type":"other","source":"s","data":1}"#).status == 202)
        }
        // The budgets are of 192 MiB. What is made of the bodies that are read takes twice their 128 MiB again, and each connection has slices.
        let highest = try service.memory("VmHWM")
        #expect(highest - before < 600 * 1024, "\(before / 1024) MB before, \(highest / 1024) MB at the highest")

        try await eventually("unread answers are cut", within: .seconds(60), log: service.output) {
            let answers = try await service.get("/metrics").text.split(separator: "\n").filter { $0.hasPrefix("http_bytes_in_flight") }
            return answers.count == 2 && answers.allSatisfy { $0.hasSuffix(" 0") }
        }
        #expect(try await service.get("/api/v1/events?limit=40").status == 200)
        withExtendedLifetime(unread) {}
    }
}
