import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// It is 2026-03-01T12:00:00Z.
struct UsageRouteTests {
    private static let instance = HTTPFields.bearer(TestService.adminToken)
    private static let path = "/api/v1/projects/shop/usage"

    /// With an admin key of the project `shop`, which has events that were received on these times. Those of `bank` are others.
    private static func service(_ received: [String]) async throws -> (service: TestService, shop: HTTPFields) {
        var service = TestService()
        service.authenticator = service.keyAccess()
        let shop = HTTPFields.bearer(try await service.makeKey(.admin))
        _ = try await service.makeKey(.admin, of: "bank")
        let events = try received.enumerated().map { number, text in
            let time = try #require(Timestamp(rfc3339: text))
            let event = Event(
                project: number == 0 ? "bank" : "shop", id: "e\(number)", type: "view", source: "web",
                timestamp: time - .seconds(number * 1_000_000), receivedAt: time, ingestID: "r\(number):0")
            return StoredEvent(event: event, processedAt: time, context: nil, fingerprint: 1)
        }
        try await service.store.process(events)
        return (service, shop)
    }

    private static let received = [
        "2026-01-01T00:00:00Z", "2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00Z", "2026-01-01T08:00:00Z", "2026-01-31T23:59:59Z",
        "2026-03-01T00:00:00Z",
    ]

    @Test func `the events of a project are shown by month and day of their receipt`() async throws {
        let (service, shop) = try await Self.service(Self.received)
        let expected =
            #"{"project":"shop","asOf":"2026-03-01T12:00:00.000Z","total":4,"months":["#
            + #"{"month":"2026-01","events":3,"days":[{"day":"2026-01-01","events":2},{"day":"2026-01-31","events":1}]},"#
            + #"{"month":"2026-02","events":0,"days":[]},{"month":"2026-03","events":1,"days":[{"day":"2026-03-01","events":1}]}]}"#
        try await service.run { client in
            for fields in [shop, Self.instance] {
                let answer = try await client.get(Self.path + "?from=2026-01&to=2026-03", fields)
                #expect(answer.status == .ok && answer.text == expected, "\(answer.text)")
                #expect(answer.headers[.cacheControl] == "no-store")
            }
            let december = try await client.get(Self.path + "?from=2025-12&to=2025-12", shop)
            #expect(december.json["total"] as? Int == 1)
            let year = try await client.get(Self.path, shop)
            #expect(year.json["total"] as? Int == 5 && (year.json["months"] as? [Any])?.count == 12, "\(year.text)")
        }
    }

    @Test func `the same before and after a roll`() async throws {
        let (service, shop) = try await Self.service(Self.received)
        for isRolled in [false, true] {
            if isRolled { try await Roller(store: service.store, logger: quiet).finish() }
            try await service.run { client in
                let answer = try await client.get(Self.path + "?from=2025-12", shop)
                #expect(answer.json["total"] as? Int == 5, "\(isRolled) \(answer.text)")
            }
        }
    }

    @Test(arguments: [
        ("from=2026-1", "'from' must be a month"), ("to=2026-13", "'to' must be a month"), ("from=2026-01-01", "'from' must be a month"),
        ("from=", "'from' must be a month"), ("from=2026-04", "'from' must not be later"),
        ("from=2026-02&to=2026-01", "'from' must not be later"),
        ("from=2016-03", "120 months"), ("from=2026-01&from=2026-02", "once only"), ("months=3", "Known here: from, to"),
    ])
    func `a wrong range is refused with its place`(query: String, text: String) async throws {
        let (service, shop) = try await Self.service(Self.received)
        try await service.run { client in
            let refused = try await client.get(Self.path + "?" + query, shop)
            #expect(refused.status == .badRequest && refused.isProblem && refused.text.contains(text), "\(refused.text)")
        }
    }

    @Test func `usage of another project is answered like that of one that does not exist`() async throws {
        let (service, shop) = try await Self.service(Self.received)
        let read = try await service.makeKey(.read)
        try await service.run { client in
            let other = try await client.get("/api/v1/projects/bank/usage", shop)
            let none = try await client.get("/api/v1/projects/none/usage", shop)
            #expect(other.status == .notFound && other.code == "project_not_found" && other.text == none.text, "\(other.text)")
            #expect(try await client.get(Self.path, .bearer(read)).code == "insufficient_scope")
            #expect(try await client.get("/api/v1/projects/bank/usage", Self.instance).json["total"] as? Int == 1)
        }
    }
}
