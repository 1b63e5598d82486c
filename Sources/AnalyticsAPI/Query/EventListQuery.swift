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
            let path = name.splitUTF8(".", omittingEmptySubsequences: false).map(String.init)
            // A key that begins with '$' would be read as an operator by the store, and is not asked for.
            guard path.allSatisfy({ !$0.isEmpty && $0.utf8.first != UInt8(ascii: "$") }) else {
                throw QueryParameters.invalid("data.\(name)", "must name keys joined by dots, none empty, none beginning with '$'.")
            }
            let condition = DataCondition(path: path, values: values)
            guard !condition.isTooLong else {
                throw QueryParameters.invalid(
                    "data.\(name)",
                    "names too many keys: at most \(DataCondition.maximumKeys), and at most \(DataCondition.maximumKeysWithNumber) with a number "
                        + "among them. Ask with fewer.")
            }
            conditions.append(condition)
        }
        return conditions
    }
}
