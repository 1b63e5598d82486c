internal import AnalyticsAPI
internal import AnalyticsCore
internal import GRPCCore

/// Authenticates a call by its metadata, before any of its messages is decoded.
struct KeyInterceptor: ServerInterceptor {
    let desk: ServiceDesk
    let scope: Scope

    /// Health and reflection need no key.
    static func pipeline(_ desk: ServiceDesk) -> [ConditionalInterceptor<any ServerInterceptor>] {
        [
            .apply(KeyInterceptor(desk: desk, scope: .write), to: .services([Analytics_Ingest.descriptor])),
            .apply(KeyInterceptor(desk: desk, scope: .read), to: .services([Analytics_AnalyticsQuery.descriptor])),
        ]
    }

    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next:
            @Sendable (
                _ request: StreamingServerRequest<Input>, _ context: ServerContext
            ) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        do throws(DeskFailure) {
            try await desk.check(scope, ServiceDesk.Call(context, request.metadata))
        } catch {
            throw RPCError(error)
        }
        return try await next(request, context)
    }
}
