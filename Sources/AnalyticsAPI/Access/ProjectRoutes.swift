internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// Creates, shows and changes projects.
struct ProjectRoutes: Sendable {
    let projects: Projects
    let zones: ZoneDatabase
    let body: BodyReader
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    private static let names = [
        "title", "timeZone", "retentionDays", "properties", "visitorIds", "allowedOrigins", "requestsPerSecond", "eventsPerSecond",
        "archived",
    ]

    var routes: [Route] {
        [
            Route(managed: .get, "/api/v1/projects", list),
            Route(managed: .post, "/api/v1/projects", create),
            Route(managed: .get, "/api/v1/projects/{project}", show),
            Route(managed: .patch, "/api/v1/projects/{project}", change),
        ]
    }

    private func list(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let records = try await records(of: administrator)
        let lease = answers.lease()
        try lease.hold(records.reduce(0) { $0 + $1.size })
        return .json(
            capacity: 1024, holding: lease,
            JSONPart.list("projects", of: records) { record, writer in
                writer.beginObject()
                writer.members(of: record)
                writer.endObject()
            })
    }

    private func records(of administrator: Administrator) async throws(StoreError) -> [ProjectRecord] {
        if case .projects(let own) = administrator.realm, own.count == 1, let only = own.first {
            return [try await projects.existing(only)].compactMap(\.self)
        }
        return try await projects.list().filter { administrator.manages($0.project) }
    }

    private func create(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        try administrator.checkInstance("makes projects. 'analytics projects create' does, too.")
        let members = try await body.node(of: request, context).node.object(["id", "title"])
        let id = try members.required("id", "it is the name of the project, such as shop.")
        guard let project = ProjectID(try id.text()) else {
            throw id.invalid("must be 1 to 64 lower-case letters, digits, '-' and '_', the first a letter or a digit.")
        }
        let record = try await projects.create(project, title: try Self.title(members["title"]), by: administrator)
        return .json(.created, headers: [.location: "/api/v1/projects/\(project)"]) { $0.members(of: record) }
    }

    private func show(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let record = try await projects.managed(context, by: administrator)
        return .json { $0.members(of: record) }
    }

    private func change(_ request: Request, _ context: APIRequestContext, _ administrator: Administrator) async throws -> Response {
        _ = try QueryParameters(request, allowed: [])
        let record = try await projects.managed(context, by: administrator)
        let members = try await body.node(of: request, context).node.object(Self.names)
        let changed = try await projects.change(record.project, try parsed(members, of: record), by: administrator)
        guard let changed else { throw Problem.projectNotFound }
        return .json { $0.members(of: changed) }
    }

    // MARK: Members

    private func parsed(_ members: BodyObject, of record: ProjectRecord) throws(Problem) -> ProjectChange {
        var change = ProjectChange()
        if let title = members["title"] { change.title = try Self.title(title) ?? "" }
        if let zone = members["timeZone"] { change.timeZone = try timeZone(zone) }
        change.retentionDays = try members["retentionDays"]?.integer(in: 0...RetentionPlan.maximumDays)
        if let paths = members["properties"] { change.properties = try Self.properties(paths) }
        change.visitorIds = try members["visitorIds"]?.boolean()
        if let origins = members["allowedOrigins"] { change.origins = try Self.origins(origins) }
        var rates = record.rates
        if let rate = members["requestsPerSecond"] { rates.requestsPerSecond = try rate.perSecond() }
        if let rate = members["eventsPerSecond"] { rates.eventsPerSecond = try rate.perSecond() }
        if rates != record.rates { change.rates = rates }
        change.isArchived = try members["archived"]?.boolean()
        return change
    }

    /// `nil` if absent or null.
    private static func title(_ node: BodyNode?) throws(Problem) -> String? {
        guard let node, !node.isNull else { return nil }
        return try node.anyText()
    }

    private func timeZone(_ node: BodyNode) throws(Problem) -> ZoneName {
        guard let name = ZoneName(try node.text()), zones.rules(of: name) != nil else {
            throw node.invalid("must be a time zone of the IANA database, such as Europe/Berlin or UTC.")
        }
        return name
    }

    private static func properties(_ node: BodyNode) throws(Problem) -> [PropertyPath] {
        var paths: [PropertyPath] = []
        for element in try node.elements(0...ProjectRecord.maximumProperties, "properties") {
            let text = try element.text()
            do throws(PropertyPathError) {
                let path = try PropertyPath(text)
                if !paths.contains(path) { paths.append(path) }
            } catch {
                throw element.invalid(error.message)
            }
        }
        return paths
    }

    private static func origins(_ node: BodyNode) throws(Problem) -> [String] {
        var origins: [String] = []
        for element in try node.elements(0...ProjectRecord.maximumOrigins, "origins") { origins.append(try element.text()) }
        return origins
    }
}

extension BodyNode {
    /// A rate; `nil` for null: no limit.
    func perSecond() throws(Problem) -> Int? {
        isNull ? nil : try integer(in: ProjectRates.allowed)
    }
}

extension Projects {
    /// The project of the path. Throws 404 if there is none, and the same if the administrator does not manage it.
    func managed(_ context: APIRequestContext, by administrator: Administrator) async throws -> ProjectRecord {
        let record = try await existing(try administrator.project(in: context))
        guard let record else { throw Problem.projectNotFound }
        return record
    }

    /// `default` exists before it has a record.
    func existing(_ project: ProjectID) async throws(StoreError) -> ProjectRecord? {
        let record = try await record(of: project)
        return record ?? (project == .first ? ProjectRecord(project: project) : nil)
    }
}

extension Administrator {
    /// The name of the project in the path. Throws 404 if the administrator does not manage it.
    func project(in context: APIRequestContext) throws(Problem) -> ProjectID {
        guard let project = ProjectID(context.pathParameter("project")), manages(project) else { throw .projectNotFound }
        return project
    }
}

extension Problem {
    static var projectNotFound: Problem {
        Problem(.projectNotFound, "The caller manages no project with this id. GET /api/v1/projects lists those that it manages.")
            .closingConnection()
    }
}

extension ProjectRecord {
    /// Approximate size of its members in bytes.
    fileprivate var size: Int { (origins + properties.map(\.text)).reduce(1_024) { $0 + 16 + 2 * $1.utf8.count } }
}
