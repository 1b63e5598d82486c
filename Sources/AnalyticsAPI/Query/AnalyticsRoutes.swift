internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// Asking what happened: docs/queries.md defines the questions.
struct AnalyticsRoutes: Sendable {
    let engine: QueryEngine
    let zones: ZoneDatabase
    let clock: WallClock
    /// Of what answers hold until they are written.
    let answers: ByteBudget

    var routes: [Route] {
        [
            Route(.get, "/api/v1/analytics/timeseries", .read, timeseries),
            Route(.get, "/api/v1/analytics/topn", .read, topn),
            Route(.get, "/api/v1/analytics/uniques", .read, uniques),
            Route(.get, "/analytics/timeseries", .read, timeseries),
            Route(.get, "/analytics/topn", .read, topn),
            Route(.get, "/stats", .read, stats),
        ]
    }

    private func question(
        _ request: Request, _ principal: Principal, _ allowed: [String], now: Timestamp, hasInterval: Bool = true
    ) async throws -> QuestionParameters {
        try await QuestionParameters(
            request, allowed: allowed, project: principal.project, zones: zones, now: now, hasInterval: hasInterval,
            projectZone: { try await engine.timeZone(of: principal.project) })
    }

    // MARK: Time series

    private func timeseries(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let now = clock.now()
        let question = try await question(
            request, principal, ["metric", "groupBy", "limit", "compare", "compareFrom", "compareTo"], now: now)
        let metric = try question.metric()
        let dimension = try question.dimension("groupBy")
        let limit = try question.parameters.limit(in: TimeseriesQuery.limits)
        guard limit == nil || dimension != nil else { throw QueryParameters.invalid("limit", "goes with 'groupBy'.") }
        let earlier = try Self.comparedRange(question)
        var query = TimeseriesQuery(
            question.selection, metric: metric, by: dimension, limit: limit ?? TimeseriesQuery.defaultLimit, starts: question.range.starts)
        try Self.checkSize(query)
        let age = try question.age(metric, now: now)
        let answered = try await engine.timeseries(query, age, for: context.asker)
        var response = TimeseriesResponse(
            range: question.range, metric: metric, asOf: answered.asOf, answer: answered.answer, isCached: answered.isCached)
        if let earlier {
            query = TimeseriesQuery(
                question.selection.within(earlier), metric: metric, by: dimension, limit: query.limit,
                keys: dimension == nil ? nil : answered.answer.series.compactMap(\.key), starts: earlier.starts)
            try Self.checkSize(query)
            let compared = try await engine.timeseries(query, age, for: context.asker)
            response.earlier = (earlier, compared.answer)
            response.isCached = answered.isCached && compared.isCached
            response.asOf = min(answered.asOf, compared.asOf)
        }
        let lease = answers.lease()
        try lease.hold(response.size)
        return response.response(zones: zones, holding: lease)
    }

    private static func checkSize(_ query: TimeseriesQuery) throws(Problem) {
        let groups = query.dimension == nil ? 1 : query.limit
        guard groups * query.starts.count <= TimeseriesQuery.maximumValues else {
            throw QueryParameters.invalid(
                "limit",
                "times the number of buckets is more than \(TimeseriesQuery.maximumValues). Ask for fewer groups, or for a longer 'interval'."
            )
        }
    }

    private enum Comparison: String, CaseIterable {
        case previous
    }

    private static func comparedRange(_ question: QuestionParameters) throws(Problem) -> QuestionRange? {
        let parameters = question.parameters
        let comparison = try parameters.choice("compare", of: Comparison.self)
        let (from, to) = (try parameters.timestamp("compareFrom"), try parameters.timestamp("compareTo"))
        do {
            switch (comparison, from, to) {
            case (nil, nil, nil): return nil
            case (.previous, nil, nil): return try question.range.previous()
            case (nil, let from?, let to?):
                guard from < to else { throw QueryParameters.invalid("compareTo", "must be later than 'compareFrom': the range is empty.") }
                return try question.range.range(from: from, to: to)
            default: throw QueryParameters.invalid("compare", "is 'previous', or a range is named by both 'compareFrom' and 'compareTo'.")
            }
        } catch let problem as Problem {
            throw problem
        } catch {
            throw QuestionParameters.tooManyBuckets("compare")
        }
    }

    // MARK: Tops

    private func topn(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let now = clock.now()
        let question = try await question(request, principal, ["metric", "dimension", "n"], now: now, hasInterval: false)
        guard let dimension = try question.dimension("dimension") else {
            throw QueryParameters.invalid("dimension", "is missing: it names what is counted by, such as type, userId or data.plan.")
        }
        let metric = try question.metric()
        let query = TopQuery(
            question.selection, by: dimension, metric: metric,
            limit: try question.parameters.integer("n", in: TopQuery.limits) ?? TopQuery.defaultLimit)
        let answered = try await engine.top(query, question.age(metric, now: now), for: context.asker)
        let lease = answers.lease()
        try lease.hold(answered.answer.size)
        return TopResponse.response(
            answered.answer, question.range, asOf: answered.asOf, isCached: answered.isCached, zones: zones, holding: lease)
    }

    // MARK: Uniques

    private func uniques(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let now = clock.now()
        let question = try await question(request, principal, [], now: now)
        let query = TimeseriesQuery(question.selection, metric: .users, starts: question.range.starts)
        let answered = try await engine.timeseries(query, question.age(.users, now: now), for: context.asker)
        let lease = answers.lease()
        try lease.hold(answered.answer.size)
        return UniquesResponse.response(
            answered.answer, question.range, asOf: answered.asOf, isCached: answered.isCached, zones: zones, holding: lease)
    }
}

// MARK: - A site's day

extension AnalyticsRoutes {
    private func stats(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let parameters = try QueryParameters(request, allowed: ["site_id", "date", "bots"])
        guard let site = try parameters.single("site_id"), !site.isEmpty else {
            throw QueryParameters.invalid("site_id", "is missing: it names the source of the events.")
        }
        guard let text = try parameters.single("date"), let midnight = Timestamp(rfc3339: text + "T00:00:00Z") else {
            throw QueryParameters.invalid("date", "must be a date such as 2026-03-01.")
        }
        let zone = try await engine.timeZone(of: principal.project) ?? .utc
        guard let rules = zones.rules(of: zone) else {
            throw QueryParameters.invalid("date", "cannot be told: this machine does not know the project's time zone, \(zone).")
        }
        let day = rules.day(of: midnight)
        let selection = Selection(
            project: principal.project, sources: [site], includesBots: try parameters.includesBots(), from: day.lowerBound,
            to: day.upperBound)
        let (views, _) = try await engine.timeseries(TimeseriesQuery(selection, starts: [day.lowerBound]), for: context.asker)
        let (users, _) = try await engine.timeseries(
            TimeseriesQuery(selection, metric: .users, starts: [day.lowerBound]), for: context.asker)
        let paths = try await topPaths(selection, context)
        return .json { writer in
            writer.member("site_id", site)
            writer.member("date", text)
            writer.key("total_views")
            writer.metricValue(views.total)
            writer.key("unique_users")
            writer.metricValue(users.total)
            writer.key("top_paths")
            writer.beginArray()
            for item in paths {
                writer.beginObject()
                writer.key("path")
                writer.groupKey(item.key)
                writer.key("views")
                writer.metricValue(item.value)
                writer.endObject()
            }
            writer.endArray()
        }
    }

    /// The ten most frequent ones, without events that have none.
    private func topPaths(_ selection: Selection, _ context: APIRequestContext) async throws -> [Top.Item] {
        guard let dimension = Dimension("data.path") else { return [] }
        let (top, _) = try await engine.top(TopQuery(selection, by: dimension, limit: 11), for: context.asker)
        return Array(top.items.filter { $0.key != .null }.prefix(10))
    }
}

extension Selection {
    fileprivate func within(_ range: QuestionRange) -> Selection {
        var selection = self
        (selection.from, selection.to) = (range.from, range.to)
        return selection
    }
}
