internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// Requests erasures of events and shows their progress.
struct ErasureRoutes: Sendable {
    let erasures: Erasures
    /// `nil`: nothing tells who asked for an erasure.
    let audit: AuditLog?
    let clientAddress: ClientAddressRule
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    private static let conditions = ["type", "source", "anonymousId", "correlationId", "from", "to"]
    private static let limits = 1...1_000

    var routes: [Route] {
        [
            Route(.delete, "/api/v1/users/{id}", .admin, eraseUser),
            Route(.post, "/api/v1/erasures", .admin, erase),
            Route(.get, "/api/v1/erasures", .admin, list),
            Route(.get, "/api/v1/erasures/{id}", .admin, erasure),
        ]
    }

    private func eraseUser(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let parameters = try QueryParameters(request, allowed: Self.conditions, prefix: "data.")
        let id = context.pathParameter("id")
        guard !id.isEmpty, !id.utf8.contains(0) else { throw QueryParameters.invalid("id", "is no user id.") }
        var selection = try parameters.filters(of: principal.project)
        selection.userIds = [id]
        return try await accepted(selection, request, context, principal)
    }

    private func erase(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let parameters = try QueryParameters(request, allowed: ["userId"] + Self.conditions, prefix: "data.")
        return try await accepted(try parameters.filters(of: principal.project), request, context, principal)
    }

    private func accepted(
        _ selection: Selection, _ request: Request, _ context: APIRequestContext, _ principal: Principal
    ) async throws -> Response {
        let address = clientAddress.text(peer: context.peerAddress, headers: request.headers)
        try await audit?.record(
            .eraseStart, project: principal.project, details: selection.conditions, by: principal.actor,
            from: address.isEmpty ? nil : address)
        let erasure = try await erasures.request(selection)
        return .json(.accepted, headers: [.location: "/api/v1/erasures/\(erasure.id)"]) { $0.members(of: erasure) }
    }

    private func list(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let parameters = try QueryParameters(request, allowed: ["limit"])
        let limit = try parameters.limit(in: Self.limits) ?? 100
        let erasures = try await Array(self.erasures.list(of: principal.project).prefix(limit))
        let lease = answers.lease(for: principal)
        try lease.hold(erasures.reduce(0) { $0 + $1.size })
        return .json(
            capacity: 1024, holding: lease,
            JSONPart.list("erasures", of: erasures) { erasure, writer in
                writer.beginObject()
                writer.members(of: erasure)
                writer.endObject()
            })
    }

    private func erasure(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let id = context.pathParameter("id")
        guard let erasure = try await erasures.erasure(id, of: principal.project) else {
            throw Problem(.erasureNotFound, "No erasure has this id. GET /api/v1/erasures lists them.")
        }
        return .json { $0.members(of: erasure) }
    }
}

extension Selection {
    /// What it names, for the audit log. Without the values: they would be kept longer than the events.
    fileprivate var conditions: String {
        var conditions: [String] = []
        let lists = [
            ("type", types), ("source", sources), ("userId", userIds), ("anonymousId", anonymousIds), ("correlationId", correlationIds),
        ]
        for (name, values) in lists where !values.isEmpty { conditions.append("\(name): \(values.count)") }
        if !data.isEmpty { conditions.append("data: \(data.count)") }
        if let from { conditions.append("from: \(from.rfc3339)") }
        if let to { conditions.append("to: \(to.rfc3339)") }
        return conditions.joined(separator: "; ")
    }
}

extension Principal {
    fileprivate var actor: ChangeAuthor {
        if let account, let session { return .account(account, session: session) }
        return key.map { .key($0) } ?? .anonymous
    }
}
