import AnalyticsJSON
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// A vendor's format as it may come: an array of hits under a media type of its own, the site in the query, the kind in a header.
private struct HitsFormat: IntakeFormat {
    var site: String
    var kind: String

    func split(_ body: PaddedBytes, limit: Int, parser: inout JSONParser) throws(IngestError) -> IntakeBatch<Void> {
        var items = IntakeItems(limit: limit)
        try items.append(elementsOf: body, at: body.all)
        return IntakeBatch(text: body, items: items.places)
    }

    func draft(
        _ item: Range<Int>, of batch: IntakeBatch<Void>, parser: inout JSONParser, into drafts: inout [EventDraft]
    ) throws(Rejection) {
        var draft = EventDraft()
        (draft.type, draft.source) = (kind, site)
        draft.data = try parser.withValue(of: batch.text, at: item, maximumDepth: 1) { (value) throws(Rejection) in
            value.isNull ? nil : value.json
        } fault: {
            Rejection(fault: $0)
        }
        if draft.data != nil { drafts.append(draft) }
    }
}

private struct HitsAnswer: IntakeResponse {
    func problem(_ result: SubmissionResult, holding lease: ByteBudget.Lease) -> Problem? { nil }

    func response(_ result: SubmissionResult, _ outcome: StorageWaiter.Outcome?, holding lease: ByteBudget.Lease) -> Response {
        let isWhole = result.unconfirmed.isEmpty && result.rejected.count == 0
        return Response(status: isWhole ? .ok : .accepted, body: .init(byteBuffer: ByteBuffer(string: "\(result.accepted.count)")))
    }
}

struct IntakeRouteTests {
    private static var hits: IntakeRoute {
        IntakeRoute(path: "/vendor/hits", parameters: nil, answer: HitsAnswer(), mediaTypes: "text/hits", formats: [format])
    }

    @Sendable
    private static func format(_ head: IntakeHead) throws -> (any IntakeFormat)? {
        guard head.mediaType == "text/hits" else { return nil }
        return HitsFormat(site: try head.query.single("site") ?? "unknown", kind: head.headers[.userAgent] ?? "hit")
    }

    private func run(_ service: TestService, _ test: @Sendable (any TestClientProtocol) async throws -> Void) async throws {
        let router = makeRouter(
            services: service.services, settings: service.settings, intake: IntakeRoute.standard + [Self.hits])
        try await Application(router: router, logger: TestService.quiet).test(.router, test)
    }

    @Test func `a vendor's format is a row of the table, sees query and headers, and answers in its own shape`() async throws {
        let service = TestService()
        try await run(service) { client in
            let headers: HTTPFields = [.contentType: "text/hits; v=2", .userAgent: "click"]
            let response = try await client.post("/vendor/hits?site=shop&_=123", #"[1,null,"two"]"#, headers)
            #expect(response.status == .ok && response.text == "2")
        }
        let events = try service.publisher.events
        #expect(events.map(\.type) == ["click", "click"] && events.map(\.source) == ["shop", "shop"])
        #expect(events.compactMap(\.data?.text) == ["1", #""two""#] && events.map(\.ingestID).count == 2)
    }

    @Test func `what concerns every request is the same for a vendor's`() async throws {
        let service = TestService()
        try await run(service) { client async throws in
            let hits: HTTPFields = [.contentType: "text/hits"]
            #expect(try await client.post("/vendor/hits", "[1]", [.contentType: "application/json"]).code == "unsupported_media_type")
            #expect(try await client.post("/vendor/hits", "{}", hits).code == "invalid_envelope")
            #expect(try await client.post("/vendor/hits?timeout=1", "[1]", hits).code == "invalid_parameter")
            #expect(try await client.post("/vendor/hits", "[1,[[]]]", hits).status == .accepted)
            #expect(try await client.get("/vendor/hits").code == "method_not_allowed")
            #expect(try await client.post("/api/v1/events?site=x", Sample.event("a")).code == "unknown_parameter")
        }
        #expect(try service.publisher.events.count == 1)
    }
}
