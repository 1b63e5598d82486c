internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// One user with its newest events.
struct UserRoute: Sendable {
    let reader: EventReader
    let engine: QueryEngine
    let clock: WallClock
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    private static let limits = 0...UserProfile.newestLimit
    private static let defaultLimit = 10

    private enum Kind: String, CaseIterable {
        case userId, anonymousId
    }

    var routes: [Route] { [Route(.get, "/api/v1/users/{id}", .read, user)] }

    private func user(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let parameters = try QueryParameters(request, allowed: ["kind", "limit", "bots", "maxAge"])
        let kind = try parameters.choice("kind", of: Kind.self) ?? .userId
        let limit = try parameters.limit(in: Self.limits) ?? Self.defaultLimit
        let seconds = try parameters.integer("maxAge", in: AnswerAge.limits)
        let age = AnswerAge(now: clock.now(), limit: seconds.map { .seconds($0) } ?? AnswerAge.ofUsers)
        let selection = Selection(project: principal.project, includesBots: try parameters.includesBots())
        // Invalid UTF-8, and text that cannot be an id, get 404 like an unknown id.
        let id = context.pathParameter("id")
        guard !id.isEmpty, !id.utf8.contains(0) else { throw Self.notFound }
        let asked: UserReference = kind == .userId ? .userId(id) : .anonymousId(id)
        let (user, answered) = try await engine.user(asked, selection, age, for: context.asker)
        let profile = answered.answer
        guard profile.events > 0 else { throw Self.notFound }
        let lease = answers.lease(for: principal)
        let anonymousIds = try await reader.anonymousIds(of: user, engine, principal.project, for: context.asker)
        let newest = try await reader.newest(limit, of: user, anonymousIds, selection, profile, for: context.asker) { try lease.hold($0) }
        let begin = JSONPart.once { writer in
            switch user {
            case .userId(let id): writer.member("userId", id)
            case .anonymousId(let id): writer.member("anonymousId", id)
            }
            writer.member("asOf", answered.asOf.rfc3339)
            writer.member("first", profile.first.rfc3339)
            writer.member("last", profile.last.rfc3339)
            writer.member("events", profile.events)
            writer.member("sessions", profile.sessions)
            writer.member("otherTypes", profile.otherTypes)
        }
        let types = JSONPart.list("types", of: profile.types) { type, writer in
            writer.beginObject()
            writer.member("type", type.type)
            writer.member("events", type.events)
            writer.endObject()
        }
        let ids = JSONPart.list("anonymousIds", of: Array(anonymousIds.prefix(EventReader.anonymousIdLimit))) { id, writer in
            writer.string(id)
        }
        return .json(
            headers: [.xCache: answered.isCached ? "HIT" : "MISS"], capacity: 1_024 + newest.count * 512, holding: lease,
            [begin] + types + ids + JSONPart.list("newest", of: newest) { $1.event($0) })
    }

    private static var notFound: Problem {
        Problem(
            .userNotFound,
            "No event of this user is stored. The id is a user id; 'kind=anonymousId' looks an anonymous id up. An accepted event appears here within seconds."
        )
    }
}
