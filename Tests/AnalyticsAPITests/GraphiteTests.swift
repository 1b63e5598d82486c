import AnalyticsJSON
import Foundation
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// Series by Graphite's API, asked for as Grafana does, against the same series of the API. It is 2026-03-01T12:00:00Z.
@Suite(.timeLimit(.minutes(5))) struct GraphiteTests {
    private let service = TestService()

    private func store(
        _ events: [(type: String, source: String, time: String)], project: ProjectID = "default", user: (Int) -> String? = { _ in nil },
        data: (Int) -> String = { _ in "1" }, context: (Int) -> String? = { _ in nil }, prefix: String = "e"
    ) async throws {
        try await service.store.process(
            events.enumerated().map { index, event in
                StoredEvent(
                    event: Event(
                        project: project, id: "\(prefix)\(index)", type: event.type, source: event.source,
                        timestamp: Timestamp(rfc3339: event.time)!, data: JSONText(normalised: data(index)), userId: user(index),
                        receivedAt: TestService.now, ingestID: "r:\(index)"),
                    processedAt: TestService.now, context: context(index).map { JSONText(normalised: $0) }, fingerprint: 0)
            })
    }

    /// Two weeks, ties and gaps among them.
    private static let log: [(type: String, source: String, time: String)] = {
        var random = Seeded(3)
        let types = ["view", "view", "view", "order", "error", "a.b c"]
        return (0..<400).map { _ in
            let time = TestService.now - .seconds(random.below(15 * 86_400))
            return (types[random.below(types.count)], ["web", "app", "ios"][random.below(3)], time.rfc3339)
        }
    }()

    // MARK: What is compared

    private struct Line: Equatable {
        var name: String
        var values: [Int?]
        var times: [Int]
    }

    private func lines(_ response: TestResponse) throws -> [Line] {
        #expect(response.status == .ok, "\(response.text)")
        let series = try #require(try JSONSerialization.jsonObject(with: Data(response.text.utf8)) as? [[String: Any]])
        return try series.map { one in
            let points = try #require(one["datapoints"] as? [[Any]])
            let name = try #require(one["target"] as? String)
            // Grafana takes the query's letter off.
            #expect(name.hasSuffix(" A"))
            return Line(
                name: String(name.dropLast(2)), values: points.map { $0[0] as? Int }, times: try points.map { try #require($0[1] as? Int) })
        }
    }

    /// Series of the API, under the names that it gives them.
    private func expected(_ client: any TestClientProtocol, _ query: String) async throws -> [Line] {
        let answer = try await client.get("/api/v1/analytics/timeseries?\(query)")
        #expect(answer.status == .ok, "\(answer.text)")
        return try Self.lines(of: answer.json)
    }

    private static func lines(of answer: [String: Any]) throws -> [Line] {
        let buckets = try #require(answer["buckets"] as? [String])
        let times = try buckets.map { Int(try #require(Timestamp(rfc3339: $0)).milliseconds / 1_000) }
        return try #require(answer["series"] as? [[String: Any]]).map { series in
            Line(name: "\(series["name"] ?? "")", values: try #require(series["values"] as? [Any]).map { $0 as? Int }, times: times)
        }
    }

    private static func seconds(_ time: String) -> Int64 { Timestamp(rfc3339: time)!.milliseconds / 1_000 }

    private static func range(_ from: String, _ until: String) -> String { "&from=\(seconds(from))&until=\(seconds(until))" }

    private static let day = (from: "2026-02-28T00:00:00Z", until: "2026-03-01T00:00:00Z")
    private static let fortnight = (from: "2026-02-15T00:00:00Z", until: "2026-03-01T00:00:00Z")

    private static func api(_ range: (from: String, until: String), _ more: String) -> String {
        "from=\(range.from)&to=\(range.until)&\(more)"
    }

    private func render(
        _ client: any TestClientProtocol, _ targets: String..., range: (from: String, until: String) = Self.fortnight, points: Int = 20
    ) async throws -> [Line] { try lines(try await client.grafana(targets, Self.range(range.from, range.until), points: points)) }

    // MARK: Series

    @Test(arguments: [
        ("minute", "2026-02-28T10:00:00Z", "2026-02-28T12:00:00Z", 200), ("hour", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z", 30),
        ("day", "2026-02-15T00:00:00Z", "2026-03-01T00:00:00Z", 20), ("week", "2026-02-16T00:00:00Z", "2026-03-02T00:00:00Z", 3),
        ("month", "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z", 2),
    ])
    func `a series has the values of the API at each interval`(interval: String, from: String, until: String, points: Int) async throws {
        try await store(Self.log)
        try await service.run { client in
            let series = try await render(client, "sumSeries(default.*.*)", range: (from, until), points: points)
            let all = try await expected(client, "from=\(from)&to=\(until)&interval=\(interval)")
            #expect(series == [Line(name: "sumSeries(default.*.*)", values: all[0].values, times: all[0].times)])
            let one = try await render(client, "default.view.web", range: (from, until), points: points)
            let web = try await expected(client, "from=\(from)&to=\(until)&interval=\(interval)&type=view&source=web")
            #expect(one == [Line(name: "default.view.web", values: web[0].values, times: web[0].times)])
        }
    }

    @Test func `quarters of an hour add up minutes`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let series = try await render(client, "sumSeries(default.*.*)", range: Self.day, points: 100)
            let minutes = try await expected(client, Self.api(Self.day, "interval=minute"))[0]
            let sums = stride(from: 0, to: 1_440, by: 15).map { minutes.values[$0..<$0 + 15].reduce(0) { $0 + ($1 ?? 0) } }
            #expect(series[0].values == sums && series[0].times == stride(from: 0, to: 1_440, by: 15).map { minutes.times[$0] })
        }
    }

    @Test func `a bucket is whole where the range cuts it`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let cut = try await render(client, "sumSeries(default.*.*)", range: ("2026-02-15T17:31:02Z", "2026-02-28T03:00:01Z"))
            let whole = try await render(client, "sumSeries(default.*.*)")
            #expect(cut == whole)
        }
    }

    @Test(arguments: [
        ("default.*.web", "groupBy=type&source=web", "default.", ".web"),
        ("default.view.*", "groupBy=source&type=view", "default.view.", ""),
        ("default.{view,order}.{web}", "groupBy=type&source=web&type=view&type=order", "default.", ".web"),
        ("default.[vo]*.?eb", "groupBy=type&source=web&type=view&type=order", "default.", ".web"),
        ("seriesByTag('source=web')", "groupBy=type&source=web", "default.", ".web"),
        ("seriesByTag('type={view,error}', 'source=app')", "groupBy=type&source=app&type=view&type=error", "default.", ".app"),
        ("{default,bank}.a~2Eb~20c.*", "groupBy=source&type=a.b%20c", "default.a~2Eb~20c.", ""),
    ])
    func `wildcards stand for the names that have events`(target: String, query: String, before: String, behind: String) async throws {
        try await store(Self.log)
        try await service.run { client in
            let series = try await render(client, target)
            let groups = try await expected(client, Self.api(Self.fortnight, "interval=day&\(query)"))
            let named = groups.map { Line(name: before + GraphiteNode.encode($0.name) + behind, values: $0.values, times: $0.times) }
            #expect(series.sorted { $0.name < $1.name } == named.sorted { $0.name < $1.name } && !series.isEmpty)
        }
    }

    @Test func `types times sources are all pairs that have events, and add up to all`() async throws {
        try await store(Self.log + [("only", "here", "2026-02-20T00:00:00Z")])
        try await service.run { client in
            let pairs = try await render(client, "default.*.*")
            #expect(pairs.count == 13 && pairs.contains { $0.name == "default.only.here" } && Set(pairs.map(\.name)).count == 13)
            for line in pairs {
                let nodes = line.name.split(separator: ".").map(String.init)
                let type = try #require(try GraphitePattern(nodes[1]).names?[0])
                let escaped = try #require(type.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
                let one = try await expected(client, Self.api(Self.fortnight, "interval=day&type=\(escaped)&source=\(nodes[2])"))
                #expect(line.values == one[0].values, "\(line.name)")
            }
            let all = try await expected(client, Self.api(Self.fortnight, "interval=day"))
            #expect(all[0].values.indices.allSatisfy { index in pairs.reduce(0) { $0 + ($1.values[index] ?? 0) } == all[0].values[index] })
        }
    }

    @Test func `groups and the highest of them are the API's groups`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let types = try await render(client, "aliasByNode(highest(groupByNode(default.*.*, 1, 'sum'), 2, 'sum'), 0)")
            #expect(types == (try await expected(client, Self.api(Self.fortnight, "interval=day&groupBy=type&limit=2"))))
            let sources = try await render(client, "groupByNode(default.view.*, 2, 'sum')")
            #expect(sources == (try await expected(client, Self.api(Self.fortnight, "interval=day&groupBy=source&type=view"))))
            // What cannot be asked for as one question is added up.
            let added = try await render(client, "groupByNode(summarize(default.*.*, '1d'), -1, 'sum')", points: 100)
            let bySource = try await expected(client, Self.api(Self.fortnight, "interval=day&groupBy=source"))
            #expect(added.sorted { $0.name < $1.name } == bySource.sorted { $0.name < $1.name })
        }
    }

    @Test func `users are those of the API, in each bucket and in all`() async throws {
        try await store(Self.log, user: { $0 % 5 == 0 ? nil : "u\($0 % 37)" })
        try await service.run { client in
            let users = try await expected(client, Self.api(Self.fortnight, "interval=day&metric=users"))
            #expect(try await render(client, "alias(default.~users, 'all')") == users)
            let total =
                try await client.get("/api/v1/analytics/timeseries?\(Self.api(Self.fortnight, "interval=day&metric=users"))").json["total"]
                as? Int
            let line = try await render(client, "aggregateLine(default.~users, 'sum')")
            #expect(line[0].values == [total, total] && line[0].name == "aggregateLine(default.~users,'sum')")
            // Longer buckets are asked for, and not added up.
            let weekly = try await render(
                client, "summarize(default.~users, '1w')", range: ("2026-02-16T00:00:00Z", "2026-03-02T00:00:00Z"))
            let weeks = try await expected(client, "from=2026-02-16T00:00:00Z&to=2026-03-02T00:00:00Z&interval=week&metric=users")
            #expect(weekly[0].values == weeks[0].values && weekly[0].times == weeks[0].times)
        }
    }

    @Test(arguments: [("paths", "data.path"), ("pages", "context.page.path")])
    func `pages are the texts of their property, the most frequent first`(node: String, property: String) async throws {
        let text = { (index: Int) in ["\"/buy\"", "\"/\"", "null", "\"/a.b\"", "7"][index % 7 % 5] }
        try await store(
            Self.log, data: { #"{"path":\#(text($0))}"# }, context: { #"{"page":{"path":\#(text($0))}}"# })
        try await service.run { client in
            let groups = try await expected(client, Self.api(Self.fortnight, "interval=day&groupBy=\(property)")).filter {
                ["/buy", "/", "/a.b"].contains($0.name)
            }
            #expect(groups.count == 3)
            #expect(try await render(client, "aliasByNode(highest(default.~\(node).*, 10, 'sum'), 2)") == groups)
            #expect(try await render(client, "aliasByNode(highest(default.~\(node).*, 1, 'sum'), 2)") == Array(groups.prefix(1)))
            #expect(try await render(client, "aliasByNode(default.~\(node).~2F*, 2)") == groups)
            let one = try await render(client, "default.~\(node).~2Fa~2Eb", "default.~\(node).nothing")
            #expect(one[0].values == groups.first { $0.name == "/a.b" }?.values && one[1].values.allSatisfy { $0 == 0 })
            #expect(one.map(\.name) == ["default.~\(node).~2Fa~2Eb", "default.~\(node).nothing"])
        }
    }

    @Test(arguments: ["UTC", "Europe/Berlin"])
    func `a week before is what the API compares with`(zone: String) async throws {
        try await service.store.setTimeZone(of: "default", to: #require(ZoneName(zone)))
        // Clocks are set on 29 March.
        let log = (0..<300).map { ("view", "web", (Timestamp(rfc3339: "2026-03-20T00:00:00Z")! + .seconds($0 * 4_001)).rfc3339) }
        try await store(log)
        let range = zone == "UTC" ? ("2026-03-28T00:00:00Z", "2026-04-02T00:00:00Z") : ("2026-03-27T23:00:00Z", "2026-04-01T22:00:00Z")
        try await service.run { client in
            let answer = try await client.get("/api/v1/analytics/timeseries?\(Self.api(range, "interval=day&compare=previous"))").json
            let earlier = try Self.lines(of: try #require(answer["compare"] as? [String: Any]))[0]
            let shifted = try await render(client, "timeShift(sumSeries(default.*.*), '7d')", range: range, points: 6)
            #expect(shifted[0].values == earlier.values && shifted[0].name == "timeShift(sumSeries(default.*.*),'7d')")
            // Drawn over the present one.
            #expect(shifted[0].times == (try await render(client, "default.view.web", range: range, points: 6))[0].times)
        }
    }

    @Test func `new types are those without an event before the range`() async throws {
        try await store(
            Self.log + [
                ("signup", "web", "2026-02-28T10:00:00Z"), ("signup", "app", "2026-02-28T11:00:00Z"),
                ("late", "app", "2026-03-01T00:00:00Z"),
            ])
        try await service.run { client in
            let new = try await render(client, "aliasByNode(default.~new.*, 2)", range: Self.day, points: 30)
            #expect(new == (try await expected(client, Self.api(Self.day, "interval=hour&groupBy=type&type=signup"))))
            #expect(try await render(client, "default.~new.l*", range: Self.day, points: 30) == [])
            #expect(try await render(client, "default.~new.*", range: ("2026-02-28T13:00:00Z", "2026-02-28T14:00:00Z"), points: 100) == [])
        }
    }

    @Test func `sums are one series where there is nothing, and names are there whether or not they have events`() async throws {
        try await service.run { client in
            let none = try await render(
                client, "sumSeries(default.*.*)", "default.view.web", "sumSeries(default.x*.*)", "default.*.*", "default.~new.*")
            #expect(none.map(\.name) == ["sumSeries(default.*.*)", "default.view.web", "sumSeries(default.x*.*)"])
            #expect(none.allSatisfy { $0.values == Array(repeating: 0, count: 14) })
        }
    }

    @Test func `series of sums are added up point by point, and not with others' points`() async throws {
        try await store(Self.log)
        try await service.run { client in
            let sum = try await render(
                client, "alias(sum(default.view.web, default.view.app, summarize(default.order.*, '1d', 'sum', false)), 'all')")
            let parts = try await render(client, "default.view.web", "default.view.app", "default.order.*")
            #expect(sum[0].values.indices.allSatisfy { index in parts.reduce(0) { $0 + ($1.values[index] ?? 0) } == sum[0].values[index] })
            let other = try await client.grafana(
                ["sumSeries(default.view.web, summarize(default.view.web, '1h'))"], Self.range(Self.fortnight.from, Self.fortnight.until))
            #expect(other.status == .badRequest && other.text.contains("different intervals"))
        }
    }

    // MARK: Access

    @Test func `another project's name gives nothing`() async throws {
        try await store(Self.log)
        try await store(Self.log, project: "bank", prefix: "b")
        try await service.run { client in
            let all = try await render(client, "sumSeries(default.*.*)")
            for target in [
                "bank.view.web", "bank.*.*", "sumSeries(bank.*.*)", "bank.~users", "bank.~pages.*", "bank.~new.*",
                "seriesByTag('project=bank')",
            ] {
                #expect(try await render(client, target) == [], "\(target)")
            }
            #expect(try await render(client, "alias(sumSeries(*.*.*),'sumSeries(default.*.*)')") == all)
            for path in ["find?query=bank.*", "expand?query=bank.*.*", "find?query=bank"] {
                #expect(try await client.get("/graphite/metrics/\(path)").text.contains("view") == false)
            }
            #expect(try await client.get("/graphite/tags/project").text == #"{"tag":"project","values":[{"value":"default","count":400}]}"#)
        }
    }

    // MARK: Bounds

    @Test func `too many series are an error that says what to do, and the highest are given`() async throws {
        try await store((0..<1_100).map { ("t\($0)", "web", "2026-02-28T10:00:00Z") } + [("t7", "web", "2026-02-28T10:00:00Z")])
        try await service.run { client in
            for target in ["default.*.*", "default.*.web", "groupByNode(default.*.*, 1, 'sum')", "default.~new.*"] {
                let answer = try await client.grafana([target], Self.range(Self.day.from, Self.day.until), points: 30)
                #expect(answer.status == .badRequest && answer.text.contains("highest"), "\(target): \(answer.text)")
            }
            #expect(try await render(client, "highest(default.*.web, 1, 'sum')", range: Self.day).map(\.name) == ["default.t7.web"])
            #expect(try await render(client, "highest(groupByNode(default.*.*,1,'sum'), 1, 'sum')", range: Self.day).map(\.name) == ["t7"])
            #expect(
                try await render(client, "sumSeries(default.*.*)", range: Self.day, points: 1)[0].values.compactMap(\.self).reduce(0, +)
                    == 1_101)
            // So many series of so many points are more than an answer may have.
            let many = try await client.grafana(
                ["highest(default.*.web, 900, 'sum')"], Self.range(Self.day.from, Self.day.until), points: 1_440)
            #expect(many.status == .badRequest)
        }
    }

    @Test func `questions are counted over all targets, and none is asked after the deadline`() async throws {
        try await store(Self.log)
        let engine = QueryEngine(store: service.store, cache: UnboundedCache(), gate: QueryGate())
        let range = try GraphiteRange(zone: .utc, rules: .utc, from: TestService.now - .seconds(3_600), until: TestService.now, points: 100)
        let plan = try GraphitePlan("default.view.web", project: "default")
        var evaluation = GraphiteEvaluation(engine: engine, project: "default", asker: .staying, now: TestService.now)
        for _ in 0..<GraphiteEvaluation.maximumQuestions { _ = try await evaluation.series(of: plan, in: range) }
        await #expect(throws: GraphiteFault.self) { try await evaluation.series(of: plan, in: range) }
        var late = GraphiteEvaluation(engine: engine, project: "default", asker: .staying, now: TestService.now, deadline: .now)
        await #expect(throws: QueryLimitError.self) { try await late.series(of: plan, in: range) }
    }
}

extension TestClientProtocol {
    /// Grafana 11.6, public/app/plugins/datasource/graphite/datasource.ts, `query` and `buildGraphiteParams`: each target is wrapped, to
    /// write the query's letter behind its names.
    func grafana(_ targets: [String], _ range: String, points: Int = 300) async throws -> TestResponse {
        let wrapped = targets.map { #"aliasSub(\#($0), "(^.*$)", "\1 A")"# }
        let body = wrapped.map { "target=\($0.asURIComponent)" }.joined(separator: "&") + range + "&format=json&maxDataPoints=\(points)"
        return try await post("/graphite/render", body, .form)
    }
}

extension HTTPFields {
    static let form: HTTPFields = [.contentType: "application/x-www-form-urlencoded"]
}

extension String {
    /// JavaScript's `encodeURIComponent`.
    var asURIComponent: String {
        addingPercentEncoding(
            withAllowedCharacters: CharacterSet(charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()"))!
    }
}
