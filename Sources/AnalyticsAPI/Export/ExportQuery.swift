internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird

/// The parameters of an export, checked. Pure.
struct ExportQuery {
    var selection: Selection
    var position: EventPosition?
    var format: ExportFormat

    init(_ request: Request, project: ProjectID) throws(Problem) {
        let parameters = try QueryParameters(
            request,
            allowed: [
                "type", "source", "userId", "anonymousId", "correlationId", "from", "to", "format", "cursor", "afterTimestamp", "afterId",
            ], prefix: "data.")
        selection = try parameters.filters(of: project)
        format = try parameters.choice("format", of: ExportFormat.self) ?? ExportFormat(accept: request.headers[.accept])
        position = try Self.position(parameters)
    }

    /// The position of a cursor, or of the last event that the client has.
    private static func position(_ parameters: QueryParameters) throws(Problem) -> EventPosition? {
        let cursor = try parameters.cursor()
        let (timestamp, id) = (try parameters.timestamp("afterTimestamp"), try parameters.single("afterId"))
        guard timestamp != nil || id != nil else { return cursor?.position }
        guard let timestamp, let id, !id.isEmpty else {
            throw QueryParameters.invalid(
                timestamp == nil ? "afterTimestamp" : "afterId",
                "must be given, too: 'afterTimestamp' and 'afterId' are those of the last event that you have.")
        }
        guard cursor == nil else {
            throw QueryParameters.invalid("cursor", "does not go with 'afterTimestamp' and 'afterId': give one of both.")
        }
        return EventPosition(timestamp: timestamp, id: id)
    }
}
