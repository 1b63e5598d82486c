import AnalyticsCore
import AnalyticsJSON
import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

/// Each query of the dashboards that is one of Graphite's, as Grafana sends it.
@Suite struct GraphiteDashboardTests {
    private struct Query {
        var panel: String
        var target: String
    }

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../grafana/dashboards")
        .standardized

    private static func dashboards() throws -> [[String: Any]] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil).map { file in
            try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        }
    }

    private static func isGraphite(_ holder: [String: Any]) -> Bool {
        (holder["datasource"] as? [String: Any])?["type"] as? String == "graphite"
    }

    private static func queries() throws -> [Query] {
        try dashboards().flatMap { dashboard in
            try #require(dashboard["panels"] as? [[String: Any]]).flatMap { panel in
                try (panel["targets"] as? [[String: Any]] ?? []).filter(isGraphite).map { target in
                    Query(panel: try #require(panel["title"] as? String), target: try #require(target["target"] as? String))
                }
            }
        }
    }

    private static func variables() throws -> [[String: Any]] {
        try dashboards().flatMap { ($0["templating"] as? [String: Any])?["list"] as? [[String: Any]] ?? [] }.filter {
            isGraphite($0) || $0["type"] as? String == "custom"
        }
    }

    private func replaced(_ text: String, _ values: [(name: String, value: String)]) -> String {
        values.reduce(text) { $0.replacingOccurrences(of: "$\($1.name)", with: $1.value) }
    }

    /// What Grafana's variables stand for: all, or several of what was found.
    private func values(_ client: any TestClientProtocol, all: Bool) async throws -> [(name: String, value: String)] {
        var values: [(name: String, value: String)] = []
        for variable in try Self.variables() {
            let name = try #require(variable["name"] as? String)
            guard variable["type"] as? String == "query" else {
                let options = try #require(variable["options"] as? [[String: Any]]).compactMap { $0["value"] as? String }
                values.append((name, try #require(all ? options.first : options.last)))
                continue
            }
            let query = replaced(try #require(variable["query"] as? String), values)
            let answer = try await client.post("/graphite/metrics/find?from=-1h&until=now", "query=\(query)", .form)
            let found = try #require(try JSONSerialization.jsonObject(with: Data(answer.text.utf8)) as? [[String: Any]])
            let texts = found.compactMap { $0["text"] as? String }
            #expect(!texts.isEmpty, "\(name)")
            let isMulti = variable["multi"] as? Bool == true
            values.append(
                (name, !isMulti ? texts[0] : all ? try #require(variable["allValue"] as? String) : "{\(texts.joined(separator: ","))}"))
        }
        return values
    }

    private static let events = [
        (type: "view", user: "ann", ago: 600), (type: "view", user: "bob", ago: 7_200), (type: "order placed", user: "ann", ago: 100),
        (type: "view", user: "ann", ago: 7 * 86_400 + 600),
    ]

    private func store(_ service: TestService) async throws {
        try await service.store.process(
            Self.events.enumerated().map { index, event in
                StoredEvent(
                    event: Event(
                        project: "default", id: "e\(index)", type: event.type, source: "web",
                        timestamp: TestService.now - .seconds(event.ago),
                        data: JSONText(normalised: #"{"path":"/a"}"#), userId: event.user, receivedAt: TestService.now,
                        ingestID: "r:\(index)"),
                    processedAt: TestService.now, context: JSONText(normalised: #"{"page":{"path":"/a"}}"#), fingerprint: 0)
            })
    }

    private func series(_ response: TestResponse) throws -> [String: [Int]] {
        let series = try #require(try JSONSerialization.jsonObject(with: Data(response.text.utf8)) as? [[String: Any]])
        return try Dictionary(
            uniqueKeysWithValues: series.map { one in
                let points = try #require(one["datapoints"] as? [[Any]]).map { $0[0] as? Int ?? -1 }
                return (String(try #require(one["target"] as? String).dropLast(2)), points)
            })
    }

    @Test(arguments: [true, false]) func `every panel has data, with all chosen or some`(all: Bool) async throws {
        let service = TestService()
        try await store(service)
        try await service.run { client in
            let values = try await values(client, all: all)
            let queries = try Self.queries()
            #expect(queries.count >= 10)
            for query in queries {
                // A day, as the dashboard has it.
                let answer = try await client.grafana([replaced(query.target, values)], "&from=1772280000&until=1772366400", points: 900)
                #expect(answer.status == .ok, "\(query.panel): \(answer.text)")
                let series = try series(answer)
                #expect(series.values.contains { $0.contains { $0 > 0 } }, "\(query.panel): \(answer.text)")
            }
        }
    }

    @Test func `panels show what the API says`() async throws {
        let service = TestService()
        try await store(service)
        try await service.run { client in
            let values = try await values(client, all: true)
            func show(_ panel: String) async throws -> [String: Int] {
                let targets = try Self.queries().filter { $0.panel == panel }.map { replaced($0.target, values) }
                // Whole hours, so that the API's range is that of the buckets.
                let answer = try await client.grafana(targets, "&from=1772280000&until=1772366400", points: 30)
                return try series(answer).mapValues { panel == "Events" || panel == "Users" ? $0[0] : $0.reduce(0, +) }
            }
            let range = "from=2026-02-28T12:00:00Z&to=2026-03-01T12:00:00Z"
            let compared = "&compareFrom=2026-02-21T12:00:00Z&compareTo=2026-02-22T12:00:00Z"
            for (panel, metric) in [("Events", "events"), ("Users", "users")] {
                let answer = try await client.get("/api/v1/analytics/timeseries?\(range)&interval=hour&metric=\(metric)\(compared)").json
                let before = (answer["compare"] as? [String: Any])?["total"] as? Int
                #expect(try await show(panel) == [metric: answer["total"] as? Int, "a week before": before].compactMapValues { $0 })
            }
            for (panel, dimension) in [("Events by type", "type"), ("Events by source", "source"), ("Top pages", "context.page.path")] {
                let answer = try await client.get("/api/v1/analytics/topn?\(range)&dimension=\(dimension)").json
                let items = try #require(answer["items"] as? [[String: Any]]).map { ($0["key"] as? String ?? "", $0["value"] as? Int ?? 0) }
                #expect(try await show(panel) == Dictionary(uniqueKeysWithValues: items))
            }
            #expect(try await show("New types seen") == ["order placed": 1])
        }
    }
}
