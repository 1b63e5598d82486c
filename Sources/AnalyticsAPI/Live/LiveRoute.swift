internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import ServiceLifecycle

/// Live events as server-sent events.
struct LiveRoute: Sendable {
    let feed: LiveFeed

    var routes: [Route] { [Route(.get, "/api/v1/live", .read, live)] }

    private func live(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let asker = context.asker
        let subscription = try feed.subscribe(to: principal.project, after: try Self.last(request.headers))
        let body = ResponseBody { writer in
            // Detects a closed connection before the next write.
            let watch = Task {
                await asker.untilGone()
                subscription.end()
            }
            defer { watch.cancel() }
            try await withGracefulShutdownHandler {
                try await writer.write(LiveEvent.beginning)
                // Suspends while the connection's write buffer is full. The subscription does not wait: its buffer fills, and it is
                // dropped.
                for await bytes in subscription.chunks { try await writer.write(bytes) }
            } onGracefulShutdown: {
                subscription.end()
            }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok,
            headers: [.contentType: "text/event-stream", .cacheControl: "no-store", .accelBuffering: "no"], body: body)
    }

    /// The last second that the client has.
    private static func last(_ headers: HTTPFields) throws(Problem) -> Int64? {
        guard let text = headers[.lastEventID], !text.isEmpty else { return nil }
        guard let last = Int64(text), last >= 0 else {
            throw Problem(.invalidHeader, "Last-Event-ID must be the id of an event of this route, unchanged.") {
                $0.member("header", "Last-Event-ID")
            }
        }
        return last
    }
}

extension HTTPField.Name {
    static let lastEventID = HTTPField.Name("Last-Event-ID")!
    /// Turns off the response buffer of nginx.
    static let accelBuffering = HTTPField.Name("X-Accel-Buffering")!
}
