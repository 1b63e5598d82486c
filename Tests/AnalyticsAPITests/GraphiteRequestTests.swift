import AnalyticsCore
import AnalyticsJSON
import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI

/// The requests that Grafana's Graphite data source sends beside those for series, and what it needs of the answers. It is
/// 2026-03-01T12:00:00Z.
@Suite struct GraphiteRequestTests {
    private let service = TestService()

    private func store(_ events: [(type: String, source: String)]) async throws {
        try await service.store.process(
            events.enumerated().map { index, event in
                StoredEvent(
                    event: Event(
                        project: "default", id: "e\(index)", type: event.type, source: event.source,
                        timestamp: TestService.now - .seconds(60),
                        data: JSONText(normalised: #"{"path":"/\#(index)"}"#), receivedAt: TestService.now, ingestID: "r:\(index)"),
                    processedAt: TestService.now, context: nil, fingerprint: 0)
            })
    }

    private static let events = [("view", "web"), ("view", "app"), ("view", "web"), ("a.b & c=é", "web"), ("order", "i os")]
    private static let odd = "a~2Eb~20~26~20c~3Dé"

    private func texts(_ response: TestResponse, _ key: String? = nil) throws -> [String] {
        #expect(response.status == .ok && response.headers[.contentType] == "application/json", "\(response.text)")
        let list = try #require(try JSONSerialization.jsonObject(with: Data(response.text.utf8)) as? [Any])
        return list.compactMap { key == nil ? $0 as? String : ($0 as? [String: Any])?[key!] as? String }
    }

    // MARK: Names

    /// `requestMetricFind`: the query is not encoded, the range is in the URL.
    private func find(_ client: any TestClientProtocol, _ query: String) async throws -> TestResponse {
        try await client.post("/graphite/metrics/find?from=-1h&until=now", "query=\(query)", .form)
    }

    @Test(arguments: [
        ("*", ["default"]), ("default.*", [odd, "order", "view"]), ("default.v*", ["view"]), ("default.{view,order}", ["order", "view"]),
        ("default.view", ["view"]), ("default.nothing", []), ("default.view.*", ["app", "web"]), ("default.*.*", ["app", "i~20os", "web"]),
        ("default.\(odd).*", ["web"]), ("default.{a~2E*,order}.*", ["i~20os", "web"]),
        ("default.~*", ["~users", "~pages", "~paths", "~new"]),
        ("default.~users", ["~users"]), ("default.~paths.~2F*", ["~2F0", "~2F1", "~2F2", "~2F3", "~2F4"]),
        ("default.~new.*", [odd, "order", "view"]),
        ("default.view.web.*", []), ("bank.*", []),
    ])
    func `names are found node by node`(query: String, expected: [String]) async throws {
        try await store(Self.events)
        try await service.run { client in
            let found = try await find(client, query)
            #expect(try texts(found, "text") == expected)
            // Older versions send the same as a GET, and the backend a form that is encoded.
            #expect(try await client.get("/graphite/metrics/find?query=\(query.asURIComponent)&from=-1h&until=now").text == found.text)
            let form = try await client.post(
                "/graphite/metrics/find?from=1772362800&until=1772366400", "query=\(query.asURIComponent)", .form)
            #expect(form.text == found.text)
        }
    }

    @Test func `a node says whether there is more behind it`() async throws {
        try await store(Self.events)
        try await service.run { client in
            let node = #"[{"text":"view","id":"default.view","leaf":0,"expandable":1,"allowChildren":1,"context":{}}]"#
            let found = try await find(client, "default.view")
            #expect(found.text == node)
            let leaf = #"[{"text":"app","id":"default.view.app","leaf":1,"expandable":0,"allowChildren":0,"context":{}}]"#
            #expect(try await find(client, "default.view.a*").text == leaf)
        }
    }

    @Test func `names are those of events in the range`() async throws {
        try await store(Self.events)
        try await service.run { client in
            let earlier = try await client.get("/graphite/metrics/find?query=default.*&from=-20d&until=-19d")
            #expect(try texts(earlier) == [])
            #expect(try texts(try await client.get("/graphite/metrics/find?query=default.*"), "text").count == 3)
        }
    }

    @Test func `names are expanded as a whole`() async throws {
        try await store(Self.events)
        try await service.run { client in
            // `requestMetricExpand`.
            let all = try await client.get("/graphite/metrics/expand?query=default.*.*&from=-1h&until=now")
            #expect(
                all.json["results"] as? [String] == [
                    "default.\(Self.odd).web", "default.order.i~20os", "default.view.app", "default.view.web",
                ])
            let some = try await client.get(
                "/graphite/metrics/expand?query=default.{view,order}&from=-1h&until=now".replacing("{", with: "%7B").replacing(
                    "}", with: "%7D"))
            #expect(some.json["results"] as? [String] == ["default.order", "default.view"])
        }
    }

    // MARK: Tags

    @Test func `tags and their values are completed`() async throws {
        try await store(Self.events)
        try await service.run { client in
            // `getTagsAutoComplete`: without expressions the first parameter is empty.
            let tags = try await client.get("/graphite/tags/autoComplete/tags?&limit=10000")
            #expect(try texts(tags) == ["project", "source", "type"])
            #expect(try texts(try await client.get("/graphite/tags/autoComplete/tags?expr=type%3Dview&tagPrefix=s")) == ["source"])
            // `getTagValuesAutoComplete`.
            let values = "/graphite/tags/autoComplete/values"
            #expect(try texts(try await client.get("\(values)?&tag=type&limit=10000&from=-1h&until=now")) == ["view", Self.odd, "order"])
            #expect(try texts(try await client.get("\(values)?expr=type%3Dview&tag=source&valuePrefix=w")) == ["web"])
            #expect(
                try texts(try await client.get("\(values)?expr=type%3D\(Self.odd.asURIComponent)&expr=source%3Dw*&tag=source")) == ["web"])
            #expect(try texts(try await client.get("\(values)?expr=project%3Dbank&tag=source")) == [])
            #expect(try texts(try await client.get("\(values)?&tag=host")) == [])
            // `getTags` and `getTagValues` of older versions.
            #expect(try texts(try await client.get("/graphite/tags?from=-1h&until=now"), "tag") == ["project", "source", "type"])
            let sources = try await client.get("/graphite/tags/source?from=-1h&until=now")
            let expected = #"{"tag":"source","values":[{"value":"web","count":3},{"value":"app","count":1},{"value":"i~20os","count":1}]}"#
            #expect(sources.text == expected)
            #expect(try await client.get("/graphite/tags/host").status == .notFound)
        }
    }

    // MARK: What there is

    @Test func `functions have what Grafana's editor reads of them`() async throws {
        try await service.run { client in
            let answer = try await client.get("/graphite/functions").json
            #expect(answer.keys.sorted() == GraphiteFunction.all.map(\.name).sorted())
            for (name, function) in answer {
                let function = try #require(function as? [String: Any])
                #expect(function["name"] as? String == name && function["group"] is String && function["description"] is String)
                for parameter in try #require(function["params"] as? [[String: Any]]) {
                    #expect(parameter["name"] is String && parameter["type"] is String && parameter["required"] is Bool, "\(name)")
                }
            }
            #expect(try await client.get("/graphite/version").text == #""1.1.10""#)
        }
    }

    /// `testDatasource`; from version 12 on the backend's `CheckHealth`, whose form is sorted.
    @Test func `the data source's check is answered`() async throws {
        try await service.run { client in
            let browser = try await client.grafana(["constantLine(100)"], "&from=1772362800&until=1772366400")
            #expect(browser.text == #"[{"target":"100 A","tags":{"name":"100"},"datapoints":[[100.0,1772362800],[100.0,1772366400]]}]"#)
            let form = "format=json&from=1772362800&maxDataPoints=100&target=constantLine%28100%29&until=1772366400"
            #expect(try await client.post("/graphite/render", form, .form).text.hasPrefix(#"[{"target":"100","#))
        }
    }

    @Test func `series can be asked for by GET, in any form of the times`() async throws {
        try await store(Self.events)
        try await service.run { client in
            let form = try await client.post(
                "/graphite/render", "target=sumSeries(default.*.*)&from=1772362800&until=1772366400&format=json", .form)
            #expect(form.status == .ok && form.text.contains("[5,1772366340]"), "\(form.text)")
            for range in [
                "from=-1h", "from=-60min&until=now", "from=11:00_20260301&until=12:00_20260301", "from=now-1h&tz=UTC&cacheTimeout=60",
            ] {
                #expect(try await client.get("/graphite/render?target=sumSeries(default.*.*)&\(range)").text == form.text, "\(range)")
            }
            let head = try await client.executeRequest(
                uri: "/graphite/render?target=default.view.web", method: .head, headers: [:], body: nil)
            #expect(head.status == .ok)
            let many = try await client.get("/graphite/render?target=default.view.web&target=default.view.app&from=-1h")
            #expect(try texts(many, "target") == ["default.view.web", "default.view.app"])
        }
    }

    // MARK: Errors

    @Test(arguments: [
        "render", "render?target=", "render?target=movingAverage(default.view.web,5)", "render?target=default.view.web&format=png",
        "render?target=default.view.web&from=now&until=-1h", "render?target=default.view.web&from=yesterday",
        "render?target=default.view.web&tz=Mars",
        "render?target=default.view.web&maxDataPoints=0", "render?target=default.view.web&width=5", "render?target=(",
        "render?target=aliasByNode(default.view.web,3)", "render?target=timeShift(default.view.web,'9000y')",
        "render?target=summarize(default.view.web,'1min')&from=-300d", "metrics/find", "metrics/find?query=",
        "metrics/find?query=default.[",
        "metrics/find?query=a..b", "metrics/expand?query=default.%7Ba.*", "tags/autoComplete/values",
        "tags/autoComplete/values?tag=type&expr=type",
        "tags/autoComplete/tags?expr=host%3Da", "tags/autoComplete/tags?limit=10001", "functions?x=1",
    ])
    func `what is not known is answered 400, and Grafana finds the message`(path: String) async throws {
        try await store(Self.events)
        try await service.run { client in
            let answer = try await client.get("/graphite/\(path)")
            #expect(answer.status == .badRequest && answer.isProblem, "\(path): \(answer.text)")
            #expect(answer.json["message"] as? String == answer.json["detail"] as? String && answer.json["message"] != nil)
        }
    }

    @Test func `forms are bounded and of one type`() async throws {
        try await service.run { client in
            let json = try await client.post("/graphite/render", #"{"target":"default.view.web"}"#)
            #expect(json.status == .unsupportedMediaType && json.json["message"] is String)
            let large = try await client.post(
                "/graphite/render", "target=" + String(repeating: "x", count: GraphiteRequest.maximumBytes), .form)
            #expect(large.status == .contentTooLarge)
            let long = try await client.post("/graphite/render", "target=" + String(repeating: "x", count: 20_000), .form)
            #expect(long.status == .badRequest)
            let broken = try await client.post("/graphite/metrics/find", "query=%zz", .form)
            #expect(broken.status == .badRequest)
        }
    }
}
