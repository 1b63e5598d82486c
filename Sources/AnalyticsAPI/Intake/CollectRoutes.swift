internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import ServiceLifecycle

/// The ingest routes.
struct CollectRoutes: Sendable {
    let collector: Collector
    let storedWait: StorageWaiter
    let body: BodyReader
    let table: [IntakeRoute]

    var routes: [Route] {
        table.map { route in
            Route(.post, route.path, .write) { request, context, principal in
                try await collect(request, context, principal, route)
            }
        }
    }

    private func collect(
        _ request: Request, _ context: APIRequestContext, _ principal: Principal, _ route: IntakeRoute
    ) async throws -> Response {
        let query = try QueryParameters(request, allowed: route.parameters.map { $0 + WaitOption.parameters + [Credential.parameter] })
        let timeout = try WaitOption.timeout(query)
        let format = try route.format(IntakeHead(request.headers, query: query, hasKey: principal.key != nil))
        let (result, lease) = try await submit(request, context, principal, as: format, reportRequested: timeout != nil)
        if let problem = route.answer.problem(result, holding: lease) { throw problem }
        let outcome = await wait(for: result, principal.project, timeout)
        return route.answer.response(result, outcome, holding: lease)
    }

    /// Parsing 20 MiB of JSON takes 20 to 60 ms of processor time on the request's task. That is short enough for a pool with one thread
    /// per core, and the budget for bodies in memory limits how many parse at the same time.
    ///
    /// The body's lease is kept for the result. It is taken before events are published, so no response is refused for lack of memory.
    private func submit(
        _ request: Request, _ context: APIRequestContext, _ principal: Principal, as format: any IntakeFormat, reportRequested: Bool
    ) async throws -> (SubmissionResult, ByteBudget.Lease) {
        let idempotencyKey = try IdempotencyKey.checked(request.headers.single(.idempotencyKey))
        let (origin, address) = body.clientAddress.origin(peer: context.peerAddress, headers: request.headers)
        let lease = body.budget.lease(for: principal, at: address)
        let bytes = try await body.read(request, lease, from: context.connection)
        let submission = IngestRequest(
            project: principal.project, format: format, body: bytes, idempotencyKey: idempotencyKey, origin: origin,
            clientAddress: address, reportRequested: reportRequested, limitedKey: principal.limitedKey)
        var result = try await collector.submit(submission)
        result.logUnconfirmed(to: context.logger)
        CollectResponse.fit(&result, into: lease)
        return (result, lease)
    }

    /// `nil` without a timeout. A graceful shutdown ends the wait; accepted events stay accepted.
    private func wait(for result: SubmissionResult, _ project: ProjectID, _ timeout: Duration?) async -> StorageWaiter.Outcome? {
        guard let timeout else { return nil }
        return await cancelWhenGracefulShutdown {
            await storedWait.wait(for: result.accepted, of: result.request, project: project, timeout: timeout)
        }
    }
}

enum IdempotencyKey {
    static func checked(_ key: String?) throws(Problem) -> String? {
        guard let key else { return nil }
        guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw Problem(.invalidHeader, "Idempotency-Key must be 1 to 255 printable ASCII characters.") {
                $0.member("header", "Idempotency-Key")
            }
        }
        return key
    }
}

extension HTTPField.Name {
    static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
}

extension HTTPFields {
    /// A header that may occur at most once; `nil` if absent.
    func single(_ name: HTTPField.Name) throws(Problem) -> String? {
        let values = self[values: name]
        guard values.count <= 1 else { throw .repeatedHeader(name) }
        return values.first
    }
}

extension Problem {
    static func repeatedHeader(_ name: HTTPField.Name) -> Problem {
        Problem(.invalidHeader, "\(name.rawName.clipped) may occur only once in a request.") { $0.member("header", name.rawName.clipped) }
    }
}
