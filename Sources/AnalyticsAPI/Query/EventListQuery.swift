internal import AnalyticsCore
internal import Hummingbird

/// The parameters of a listing, checked. Pure.
struct EventListQuery {
    var selection: Selection
    var cursor: EventCursor?
    var limit: Int

    init(_ request: Request, project: ProjectID) throws(Problem) {
        let parameters = try QueryParameters(
            request, allowed: ["type", "source", "userId", "anonymousId", "correlationId", "from", "to", "limit", "cursor"], prefix: "data."
        )
        selection = try parameters.filters(of: project)
        limit = try parameters.limit(in: 1...QueryRoutes.maximumLimit) ?? 100
        cursor = try parameters.cursor()
    }
}
