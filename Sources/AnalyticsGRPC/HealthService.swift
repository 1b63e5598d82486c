internal import AnalyticsAPI
internal import GRPCCore
internal import ServiceLifecycle

/// `grpc.health.v1.Health`: the result of `GET /health/ready`, for the server (`""`) and for each service.
struct HealthService: Grpc_Health_V1_Health.ServiceProtocol {
    let desk: ServiceDesk
    let services: [String]

    /// How often a watched state is checked.
    private static let interval = Duration.seconds(5)

    func check(
        request: ServerRequest<Grpc_Health_V1_HealthCheckRequest>, context: ServerContext
    ) async throws -> ServerResponse<Grpc_Health_V1_HealthCheckResponse> {
        guard isKnown(request.message.service) else {
            throw RPCError(code: .notFound, message: "There is no service of this name. Reflection lists them.")
        }
        return ServerResponse(message: await state(of: request.message.service))
    }

    /// Ends with the caller, and when the service shuts down.
    func watch(
        request: ServerRequest<Grpc_Health_V1_HealthCheckRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Grpc_Health_V1_HealthCheckResponse> {
        let cancellation = context.cancellation
        return StreamingServerResponse { writer in
            var last: Grpc_Health_V1_HealthCheckResponse?
            while !cancellation.isCancelled, !Task.isShuttingDownGracefully {
                let state = await state(of: request.message.service)
                if state != last { try await writer.write(state) }
                last = state
                await cancelWhenGracefulShutdown {
                    await withTaskGroup(of: Void.self) { group in
                        group.addTask { _ = try? await cancellation.cancelled }
                        group.addTask { try? await Task.sleep(for: Self.interval) }
                        _ = await group.next()
                        group.cancelAll()
                    }
                }
            }
            return [:]
        }
    }

    private func isKnown(_ service: String) -> Bool { service.isEmpty || services.contains { $0.utf8.elementsEqual(service.utf8) } }

    private func state(of service: String) async -> Grpc_Health_V1_HealthCheckResponse {
        var response = Grpc_Health_V1_HealthCheckResponse()
        response.status = .serviceUnknown
        if isKnown(service) { response.status = await desk.isReady ? .serving : .notServing }
        return response
    }
}
