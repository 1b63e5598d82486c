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
        selection = try parameters.selection(of: project)
        selection.userIds = try parameters.all("userId")
        selection.anonymousIds = try parameters.all("anonymousId")
        selection.correlationIds = try parameters.all("correlationId")
        selection.data = try Self.conditions(parameters)
        limit = try parameters.limit(in: 1...QueryRoutes.maximumLimit) ?? 100
        if let text = try parameters.single("cursor") {
            guard let cursor = EventCursor(text) else {
                throw QueryParameters.invalid("cursor", "must be the nextCursor of an earlier answer, unchanged.")
            }
            self.cursor = cursor
        }
    }

    private static func conditions(_ parameters: QueryParameters) throws(Problem) -> [DataCondition] {
        var conditions: [DataCondition] = []
        for (name, values) in try parameters.all(prefix: "data.") {
            do throws(PropertyPathError) {
                conditions.append(DataCondition(path: try PropertyPath(.data, name).keys, values: values))
            } catch {
                throw QueryParameters.invalid("data.\(name)", error.message)
            }
        }
        return conditions
    }
}
