import AnalyticsCore
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import MetricsTestKit
import Testing

@testable import AnalyticsAPI

@Suite struct RequestMetricsTests {
    @Test func `requests are counted by method, pattern and status, with bounded labels`() async throws {
        let metrics = TestMetrics()
        let service = TestService()
        let router = makeRouter(services: service.services, settings: service.settings, metricsFactory: metrics)
        try await Application(router: router, logger: TestService.quiet).test(.router) { client in
            for path in ["a", "b", "c"] { _ = try await client.get("/api/v1/events/\(path)") }
            _ = try await client.get("/whatever/\(Int.random(in: 0...9))")
            _ = try await client.executeRequest(uri: "/metrics", method: .init("PROPFIND")!, headers: [:], body: nil)
            _ = try await client.post("/api/v1/events", Sample.event("a"))
        }
        func count(_ method: String, _ route: String, _ status: String) throws -> Int64 {
            try metrics.expectCounter("http_requests_total", [("method", method), ("route", route), ("status", status)]).totalValue
        }
        #expect(try count("GET", "/api/v1/events/{id}", "404") == 3)
        #expect(try count("GET", "unmatched", "404") == 1)
        #expect(try count("other", "unmatched", "405") == 1)
        #expect(try count("POST", "/api/v1/events", "202") == 1)
        let timer = try metrics.expectTimer("http_request_duration_seconds", [("route", "/api/v1/events/{id}"), ("status", "404")])
        #expect(timer.values.count == 3)
        #expect(try metrics.expectMeter("http_requests_in_flight").values.last == 0)
    }
}
