internal import AnalyticsAPI
internal import AnalyticsCore
internal import GRPCCore

extension ServiceDesk.Call {
    init(_ context: ServerContext, _ metadata: Metadata) {
        let cancellation = context.cancellation
        self.init(
            path: "/" + context.descriptor.fullyQualifiedMethod,
            headers: metadata.compactMap { key, value in
                guard case .string(let text) = value else { return nil }
                return (key, text)
            },
            peer: Self.address(context.remotePeer),
            // Cancelled when the client disconnects or its deadline passes.
            asker: Asker { _ = try? await cancellation.cancelled })
    }

    /// The IP address in `ipv4:127.0.0.1:1234` or `ipv6:[::1]:1234`.
    private static func address(_ peer: String) -> String? {
        guard let (_, rest) = peer.cutUTF8(atFirst: ":"), let (host, _) = rest.cutUTF8(atLast: ":") else { return nil }
        return host.removingUTF8("[", "]")
    }
}

extension RPCError {
    /// The only place that maps failures to statuses. `unavailable` is worth a retry, and `resourceExhausted` with `rate_limited` is after
    /// a pause.
    init(_ failure: DeskFailure) {
        let code: Code =
            switch (failure.status, failure.code) {
            case (400, _), (413, _), (415, _): .invalidArgument
            case (401, _): .unauthenticated
            case (403, _): .permissionDenied
            case (404, _): .notFound
            case (422, _): .failedPrecondition
            case (429, _): .resourceExhausted
            // text: codes of the service's own
            case (503, "query_timeout"): .deadlineExceeded
            // text: codes of the service's own
            case (503, "query_too_large"): .resourceExhausted
            case (503, _): .unavailable
            default: .internalError
            }
        self.init(code: code, message: failure.detail, metadata: ["problem-code": .string(failure.code)])
    }
}

/// Responds to a call with a message, or with the status of the failure.
func answering<Message: Sendable>(_ body: () async throws(DeskFailure) -> Message) async throws(RPCError) -> ServerResponse<Message> {
    do throws(DeskFailure) {
        return ServerResponse(message: try await body())
    } catch {
        throw RPCError(error)
    }
}
