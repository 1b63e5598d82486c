internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// The part of Graphite's HTTP API that Grafana's data source uses, built on the questions: docs/decisions/graphite.md.
struct GraphiteRoutes: Sendable {
    let engine: QueryEngine
    let zones: ZoneDatabase
    let clock: WallClock
    /// Reads forms.
    let body: BodyReader
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    /// Points if the request has no `maxDataPoints`.
    private static let usualPoints = 1_000
    /// The version of graphite-web whose API this implements in part.
    private static let version = "1.1.10"

    private typealias Handler = @Sendable (Request, APIRequestContext, Principal) async throws -> Response

    var routes: [Route] {
        [
            route(.get, "render", render), route(.post, "render", render),
            route(.get, "metrics/find", find), route(.post, "metrics/find", find),
            route(.get, "metrics/expand", expand),
            route(.get, "tags", tags), route(.get, "tags/autoComplete/tags", completeTags),
            route(.get, "tags/autoComplete/values", completeValues), route(.get, "tags/{tag}", tag),
            route(.get, "functions", functions), route(.get, "version", version),
        ]
    }

    /// Adds `message` to errors: Grafana shows only that.
    private func route(_ method: HTTPRequest.Method, _ path: String, _ handler: @escaping Handler) -> Route {
        Route(method, "/graphite/\(path)", .read) { request, context, principal in
            do {
                return try await handler(request, context, principal)
            } catch {
                throw Problem(error, requestID: context.id, logger: context.logger).withMessage()
            }
        }
    }

    private func parameters(
        _ request: Request, _ context: APIRequestContext, _ principal: Principal, _ allowed: [String], now: Timestamp? = nil
    ) async throws -> GraphiteRequest {
        try await GraphiteRequest(
            request, context, allowed: allowed, body: body, zones: zones, now: now ?? clock.now(),
            projectZone: { try await engine.timeZone(of: principal.project) })
    }

    private func evaluation(_ context: APIRequestContext, _ principal: Principal, includesBots: Bool) -> GraphiteEvaluation {
        GraphiteEvaluation(
            engine: engine, project: principal.project, includesBots: includesBots, asker: context.asker, now: clock.now())
    }

    /// Runs `body` and maps its faults to errors of the parameter.
    private static func naming<Value>(_ parameter: String, _ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let fault as GraphiteFault {
            throw QueryParameters.invalid(parameter, fault.message)
        }
    }

    // MARK: Series

    private enum Format: String, CaseIterable {
        case json
    }

    private func render(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        // Grafana sends `cacheTimeout` if its data source has one. It is ignored: cached answers here never go out of date.
        let query = try await parameters(request, context, principal, ["target", "format", "maxDataPoints", "cacheTimeout"])
        let targets = try query.parameters.all("target")
        guard !targets.isEmpty else { throw QueryParameters.invalid("target", "is missing: it names the series, such as shop.*.web.") }
        _ = try query.parameters.choice("format", of: Format.self)
        let points = try query.parameters.integer("maxDataPoints", in: 1...1_000_000) ?? Self.usualPoints
        let (from, until) = try query.moments(usual: .seconds(86_400))
        let includesBots = try query.parameters.includesBots()
        let lease = answers.lease(for: principal)
        let series = try await Self.naming("target") {
            let plans = try targets.map { try GraphitePlan($0, project: principal.project) }
            let range = try GraphiteRange(
                zone: query.zone, rules: query.rules, from: from, until: until, points: min(points, QuestionRange.maximumBuckets))
            var evaluation = evaluation(context, principal, includesBots: includesBots)
            var series: [GraphiteSeries] = []
            for plan in plans {
                series += try await evaluation.series(of: plan, in: range)
                try lease.hold(series.reduce(0) { $0 + $1.size })
            }
            return series
        }
        return .json(array: series, capacity: series.reduce(0) { $0 + $1.size }, holding: lease) { $1.graphiteSeries($0) }
    }

    // MARK: Names

    private func find(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let (path, selection) = try await query(request, context, principal)
        let nodes = try await Self.naming("query") {
            var evaluation = evaluation(context, principal, includesBots: selection.includesBots)
            return try await evaluation.nodes(try GraphitePath(path), in: selection)
        }
        return .json(array: nodes, capacity: nodes.count * 96) { $1.graphiteNode($0) }
    }

    private func expand(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let (path, selection) = try await query(request, context, principal)
        let names = try await Self.naming("query") {
            var evaluation = evaluation(context, principal, includesBots: selection.includesBots)
            return try await evaluation.names(try GraphitePath(path), in: selection)
        }
        return .json(capacity: names.count * 64, JSONPart.list("results", of: names) { $1.string($0) })
    }

    private func query(
        _ request: Request, _ context: APIRequestContext, _ principal: Principal
    ) async throws -> (path: String, selection: Selection) {
        let query = try await parameters(request, context, principal, ["query"])
        guard let path = try query.parameters.single("query"), !path.isEmpty else {
            throw QueryParameters.invalid("query", "is missing: it is the beginning of a name, such as shop.*.")
        }
        guard path.utf8.count <= GraphiteExpression.maximumBytes else {
            throw QueryParameters.invalid("query", "has more than \(GraphiteExpression.maximumBytes) bytes.")
        }
        return (path, try query.selection(of: principal.project))
    }

    // MARK: Tags

    private func tags(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        _ = try await parameters(request, context, principal, [])
        return .json(array: GraphiteTags.Tag.allCases) { tag, writer in
            writer.beginObject()
            writer.member("tag", tag.rawValue)
            writer.endObject()
        }
    }

    private func tag(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let query = try await parameters(request, context, principal, [])
        guard let tag = context.parameters.get("tag").flatMap({ GraphiteTags.Tag(rawValue: $0) }) else {
            throw Problem(.notFound, "Series have the tags \(GraphiteTags.Tag.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        let selection = try query.selection(of: principal.project)
        var evaluation = evaluation(context, principal, includesBots: selection.includesBots)
        let values = try await evaluation.values(of: tag, GraphiteTags(), in: selection)
        let name = JSONPart.once { $0.member("tag", tag.rawValue) }
        let list = JSONPart.list("values", of: values) { value, writer in
            writer.beginObject()
            writer.member("value", value.value)
            writer.member("count", value.count)
            writer.endObject()
        }
        return .json(capacity: values.count * 48, [name] + list)
    }

    private static let limits = 1...GraphiteEvaluation.maximumNames

    private func completeTags(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let query = try await parameters(request, context, principal, ["expr", "tagPrefix", "limit"])
        let limit = try query.parameters.limit(in: Self.limits) ?? 100
        let prefix = try query.parameters.single("tagPrefix") ?? ""
        let conditions = try await Self.naming("expr") { try query.tags() }
        let isNamed = Set(conditions.conditions.map(\.tag))
        let tags = GraphiteTags.Tag.allCases.filter { !isNamed.contains($0) && $0.rawValue.starts(withUTF8: prefix) }
        return .json(array: Array(tags.prefix(limit))) { $1.string($0.rawValue) }
    }

    private func completeValues(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let query = try await parameters(request, context, principal, ["expr", "tag", "valuePrefix", "limit"])
        let limit = try query.parameters.limit(in: Self.limits) ?? 100
        let prefix = try query.parameters.single("valuePrefix") ?? ""
        guard let name = try query.parameters.single("tag") else { throw QueryParameters.invalid("tag", "is missing.") }
        guard let tag = GraphiteTags.Tag.allCases.first(where: { $0.rawValue.equalsUTF8(name) }) else {
            return .json(array: [String]()) { $1.string($0) }
        }
        let selection = try query.selection(of: principal.project)
        let values = try await Self.naming("expr") {
            var evaluation = evaluation(context, principal, includesBots: selection.includesBots)
            return try await evaluation.values(of: tag, try query.tags(), in: selection)
        }
        let found = values.map(\.value).filter { $0.starts(withUTF8: prefix) }.prefix(limit)
        return .json(array: Array(found), capacity: found.count * 32) { $1.string($0) }
    }

    // MARK: Functions and version

    private func functions(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        _ = try await parameters(request, context, principal, [])
        return .json(.ok, [.each(GraphiteFunction.all) { $1.graphiteFunction($0) }])
    }

    private func version(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        _ = try await parameters(request, context, principal, [])
        return .json(text: Self.version)
    }
}

extension JSONWriter {
    /// In graphite-web's format: `[value, seconds]` per point.
    fileprivate mutating func graphiteSeries(_ series: GraphiteSeries) {
        beginObject()
        member("target", series.name)
        key("tags")
        beginObject()
        member("name", series.path)
        endObject()
        key("datapoints")
        beginArray()
        for (time, value) in zip(series.times, series.values) {
            beginArray()
            metricValue(value)
            integer(time.milliseconds / 1_000)
            endArray()
        }
        endArray()
        endObject()
    }

    fileprivate mutating func graphiteNode(_ node: GraphiteEvaluation.Node) {
        let isExpandable: Int64 = node.isLeaf ? 0 : 1
        beginObject()
        member("text", node.text)
        member("id", node.path)
        member("leaf", 1 - isExpandable)
        member("expandable", isExpandable)
        member("allowChildren", isExpandable)
        key("context")
        beginObject()
        endObject()
        endObject()
    }
}
