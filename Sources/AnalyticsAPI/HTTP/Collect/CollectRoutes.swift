internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import ServiceLifecycle

/// Taking events in.
struct CollectRoutes: Sendable {
    let collector: Collector
    let storedWait: StoredWait
    let body: BodyReader
    let clientAddress: ClientAddressRule

    var routes: [Route] {
        [Route(.post, "/api/v1/events", single), Route(.post, "/api/v1/events/batch", batch)]
    }

    private func single(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let timeout = try WaitOption.timeout(QueryParameters(request, allowed: WaitOption.parameters))
        let result = try await submit(request, context, as: try BodyFormat.single(request.headers), isAwaited: timeout != nil)
        if let rejection = result.rejected.first.first { throw Problem(rejection) }
        if let event = result.unconfirmed.first { throw CollectAnswer.unconfirmed(event, reason: result.unconfirmedReason) }
        let outcome = await wait(for: result, context.project, timeout)
        return CollectAnswer.single(result.accepted[0], outcome)
    }

    private func batch(_ request: Request, _ context: APIRequestContext) async throws -> Response {
        let timeout = try WaitOption.timeout(QueryParameters(request, allowed: WaitOption.parameters))
        let result = try await submit(request, context, as: try BodyFormat.batch(request.headers), isAwaited: timeout != nil)
        if !result.unconfirmed.isEmpty { throw CollectAnswer.unconfirmed(result) }
        if result.accepted.isEmpty { throw CollectAnswer.allRejected(result) }
        let outcome = await wait(for: result, context.project, timeout)
        return CollectAnswer.batch(result, outcome)
    }

    /// Reading 20 MiB of JSON takes some 20 to 60 ms of processor time, on this request's task: short enough for a pool of a thread a core,
    /// and the budget of bodies in memory bounds how many can be at it.
    private func submit(
        _ request: Request, _ context: APIRequestContext, as format: Submission.Format, isAwaited: Bool
    ) async throws -> SubmissionResult {
        let idempotencyKey = try Self.idempotencyKey(request.headers)
        let sender = Sender(
            address: clientAddress.address(peer: context.peerAddress, headers: request.headers),
            userAgent: request.headers[.userAgent].map { String($0.unicodeScalars.prefix(512)) })
        return try await body.read(request) { body in
            if format == .event, body.bytes.first(where: { $0 > 0x20 }) == UInt8(ascii: "[") {
                let message = "An array of events goes to POST /api/v1/events/batch; this route takes one event."
                throw Problem(Rejection(code: .notAnObject, message: message))
            }
            return try await collector.submit(
                Submission(
                    project: context.project, format: format, body: body, idempotencyKey: idempotencyKey, sender: sender,
                    isAwaited: isAwaited))
        }
    }

    private static func idempotencyKey(_ headers: HTTPFields) throws(Problem) -> String? {
        guard let key = headers[.idempotencyKey] else { return nil }
        guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw Problem(.invalidHeader, "Idempotency-Key must be 1 to 255 printable ASCII characters.") {
                $0.member("header", "Idempotency-Key")
            }
        }
        return key
    }

    /// `nil` when nobody asked to wait. A service that is shutting down does not wait any longer: what is accepted stays so.
    private func wait(for result: SubmissionResult, _ project: String, _ timeout: Duration?) async -> StoredWait.Outcome? {
        guard let timeout else { return nil }
        return await cancelWhenGracefulShutdown {
            await storedWait.wait(for: result.accepted, of: result.request, project: project, timeout: timeout)
        }
    }
}

extension HTTPField.Name {
    static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
}
