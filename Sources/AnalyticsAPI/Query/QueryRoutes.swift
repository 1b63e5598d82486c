internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// The routes of stored events and of their counts.
struct QueryRoutes: Sendable {
    let reader: EventReader
    let engine: QueryEngine
    let zones: ZoneDatabase
    let clock: WallClock
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    static let maximumLimit = 1000
    static let countsQuestion = QuestionRoute("/api/v1/events/counts", counts)

    var routes: [Route] {
        [Route(.get, "/api/v1/events", .read, list)]
            + QuestionResponder(engine: engine, zones: zones, clock: clock, answers: answers).routes(Self.countsQuestion)
            + [Route(.get, "/api/v1/events/{id}", .read, event)]
    }

    private func list(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let query = try EventListQuery(request, project: principal.project)
        let lease = answers.lease(for: principal)
        let page = try await reader.page(
            query.selection, after: query.cursor, limit: query.limit, for: context.asker, holding: { try lease.hold($0) })
        return QueryResponse.page(page.events, next: page.next, holding: lease)
    }

    private func event(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        // Invalid UTF-8, and text that cannot be an id, get 404 like an unknown id.
        let id = context.pathParameter("id")
        // Not in the condition: Swift 6.3.1 crashes when it optimizes an await that is one of several conditions.
        let stored = id.isEmpty || id.utf8.contains(0) ? nil : try await reader.event(project: principal.project, id: id)
        guard let event = stored else {
            throw Problem(.eventNotFound, "No event with this id is stored. An accepted event appears here within seconds.")
        }
        let lease = answers.lease(for: principal)
        try lease.hold(event.size)
        return .json(capacity: 1024, holding: lease, [.once { $0.members(of: event) }])
    }

    static func counts(_ asked: AskedQuestion) async throws -> QuestionAnswer {
        let parameters = try QueryParameters([asked.query], allowed: ["type", "source", "from", "to", "groupBy", "limit", "explain"])
        let grouping = try parameters.single("groupBy")
        guard let grouping = CountQuery.Grouping(rawValue: grouping ?? "type") else {
            throw QueryParameters.invalid("groupBy", "may be \(CountQuery.Grouping.allCases.map(\.rawValue).joined(separator: " or ")).")
        }
        let query = CountQuery(
            try parameters.selection(of: asked.project), grouping: grouping,
            limit: try parameters.limit(in: CountQuery.limits) ?? CountQuery.defaultLimit)
        let (counts, isCached) = try await asked.engine.counts(query, for: asked.asker)
        return QueryResponse.counts(counts, query, isCached: isCached, settled: parameters.query(without: ["explain"]))
    }
}
