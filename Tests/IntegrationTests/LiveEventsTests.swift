import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: TestServices.areThere), .timeLimit(.minutes(5)))
struct LiveEventsTests {
    private struct Second: Sendable {
        var id: Int
        var types: [String: Int]
        /// Of the last 5 and 30 minutes.
        var users: [Int?]

        init(id: Int, _ json: [String: Any]) {
            self.id = id
            let types = json["types"] as? [[String: Any]] ?? []
            self.types = Dictionary(uniqueKeysWithValues: types.map { ($0["type"] as? String ?? "", $0["events"] as? Int ?? 0) })
            let users = json["users"] as? [String: Any]
            self.users = [users?["last5Minutes"] as? Int, users?["last30Minutes"] as? Int]
        }
    }

    /// What a client of an API is told.
    private static func listen(_ api: ServiceProcess, after last: Int? = nil, count: Int) async throws -> [Second] {
        var request = HTTPClientRequest(url: api.url + "/api/v1/live")
        if let last { request.headers.add(name: "last-event-id", value: String(last)) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(180))
        #expect(response.status == .ok && response.headers.first(name: "content-type") == "text/event-stream")
        var (text, seconds): (String, [Second]) = ("", [])
        for try await bytes in response.body {
            text += String(buffer: bytes)
            while let end = text.range(of: "\n\n") {
                let lines = text[..<end.lowerBound].split(separator: "\n")
                text.removeSubrange(..<end.upperBound)
                guard let id = lines.first(where: { $0.hasPrefix("id: ") }).flatMap({ Int($0.dropFirst(4)) }),
                    let data = lines.first(where: { $0.hasPrefix("data: ") })
                else { continue }
                let json = try JSONSerialization.jsonObject(with: Data(data.dropFirst(6).utf8))
                seconds.append(Second(id: id, try #require(json as? [String: Any])))
            }
            if seconds.count >= count { break }
        }
        return seconds
    }

    @Test("two APIs tell the same of what two processors store, and a client goes on at either")
    func twoAPIs() async throws {
        let backends = try await TestBackends.real()
        let apis = [try await ServiceProcess.serve(backends, role: "api"), try await ServiceProcess.serve(backends, role: "api")]
        let processors = [
            try await ServiceProcess.serve(backends, role: "processor"), try await ServiceProcess.serve(backends, role: "processor"),
        ]
        defer { for service in apis + processors { service.terminate() } }
        // In time for their second to be told with all of them.
        let start = Int(Date().timeIntervalSince1970) + 20
        async let first = Self.listen(apis[0], count: 28)
        async let second = Self.listen(apis[1], count: 28)
        for number in 0..<30 {
            let events = (0..<20).map {
                #"{"type":"t\#($0 % 3)","source":"s","userId":"u\#($0)","data":{},"timestamp":\#(start * 1_000 + number * 100 + $0)}"#
            }
            let answer = try await apis[number % 2].post("/api/v1/events/batch", "[\(events.joined(separator: ","))]")
            #expect(answer.status == 202, "\(answer.text)")
        }
        func told(_ seconds: [Second]) -> [Int: [String: Int]] {
            Dictionary(uniqueKeysWithValues: seconds.filter { (start..<start + 3).contains($0.id) }.map { ($0.id, $0.types) })
        }
        let (one, other) = (try await first, try await second)
        let expected = Dictionary(uniqueKeysWithValues: (start..<start + 3).map { ($0, ["t0": 70, "t1": 70, "t2": 60]) })
        #expect(told(one) == expected && told(other) == expected)
        for seconds in [one, other] { #expect(seconds.map(\.id) == Array(seconds[0].id..<seconds[0].id + seconds.count)) }

        // It has seen one second at the first API, and goes on at the second.
        let later = try await Self.listen(apis[1], after: start, count: 3)
        #expect(later.map(\.id).prefix(3) == [start + 1, start + 2, start + 3] && told(later)[start + 1] == expected[start])
        try await eventually("users are told", within: .seconds(90)) {
            try await Self.listen(apis[0], count: 8).last?.users == [20, 20]
        }
    }

    @Test("a service that ends lets those who listen go")
    func shutdown() async throws {
        let service = try await ServiceProcess.serve(TestBackends.embedded())
        async let told = Self.listen(service, count: 1_000)
        try await eventually("somebody listens") { try await service.metric("http_live_readers") == 1 }
        let start = ContinuousClock.now
        #expect(service.terminate() == 0)
        #expect(ContinuousClock.now - start < .seconds(18))
        _ = try await told
    }
}
