internal import AnalyticsCore
internal import AnalyticsJSON

/// What a caller is told about itself.
struct CallerResponse: Sendable {
    private struct Place: Sendable {
        var project: ProjectID
        /// `nil` for callers that are no account.
        var role: Role?
        var scopes: Set<Scope>
    }

    private let kind: String
    private let account: Account?
    private let key: StoredKey?
    private let places: [Place]

    init(_ caller: Caller, _ projects: Projects) async throws(StoreError) {
        switch caller {
        case .account(let signedIn): try await self.init(signedIn.account, projects)
        case .key(let key):
            self.init("key", key: key, [Place(project: key.project, scopes: key.principal.scopes)])
        // It manages projects, and reads and writes nothing in them.
        case .administrator: self.init("administrator", [])
        case .anonymous:
            self.init("anonymous", [Place(project: AnonymousAccess.project, scopes: AnonymousAccess.owner.scopes)])
        }
    }

    init(_ account: Account, _ projects: Projects) async throws(StoreError) {
        var own = account.roles.keys.sorted()
        if account.isAdministrator {
            own = try await projects.list().map(\.project)
            // It exists before it has a record.
            if own.isEmpty { own = [.first] }
        }
        let places = own.compactMap { project in
            account.role(in: project).map { Place(project: project, role: $0, scopes: $0.scopes) }
        }
        self.init("account", account: account, places)
    }

    private init(_ kind: String, account: Account? = nil, key: StoredKey? = nil, _ places: [Place]) {
        self.kind = kind
        self.account = account
        self.key = key
        self.places = places
    }

    /// Approximate size in bytes.
    var size: Int { 1_024 + 192 * places.count }

    var parts: [JSONPart] {
        let own = JSONPart.once { [kind, account, key] writer in
            writer.member("kind", kind)
            writer.object("account", account) { $1.basicMembers(of: $0) }
            writer.object("key", key) { key, writer in
                writer.member("id", key.id)
                writer.member("project", key.project.name)
                writer.member("scope", key.scope.rawValue)
            }
        }
        return [own]
            + JSONPart.list("projects", of: places) { place, writer in
                writer.beginObject()
                writer.member("id", place.project.name)
                writer.nullable("role", place.role?.rawValue)
                writer.list("scopes", Scope.allCases.filter(place.scopes.contains).map(\.rawValue))
                writer.endObject()
            }
    }
}

extension JSONWriter {
    /// A member that is an object, or null without a value.
    fileprivate mutating func object<Value>(_ name: StaticString, _ value: Value?, _ write: (Value, inout JSONWriter) -> Void) {
        key(name)
        guard let value else { return json("null".utf8) }
        beginObject()
        write(value, &self)
        endObject()
    }
}
