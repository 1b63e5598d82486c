import AnalyticsJSON
import Hummingbird
import HummingbirdTesting
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// The same keys for all services of a test, so that their answers can be compared.
struct Keyring: Sendable {
    let victim = Dictionary(uniqueKeysWithValues: Scope.allCases.map { ($0, APIKey(project: "victim", scope: $0)) })
    let revoked = APIKey(project: "victim", scope: .admin)
    let expired = APIKey(project: "victim", scope: .admin)
    /// Never stored.
    let unknown = APIKey(project: "victim", scope: .admin)
    /// Stored, and never sent: their ids are in paths.
    let spare = APIKey(project: "victim", scope: .write)
    let doomed = APIKey(project: "victim", scope: .write)
    /// The other project's.
    let own = APIKey(project: "shop", scope: .admin)

    var admin: APIKey { victim[.admin]! }

    /// What lists and answers show of the victim's keys and people.
    var secrets: [String] {
        (Array(victim.values) + [revoked, expired, spare, doomed]).flatMap { [$0.digest.keyID, $0.prefix] }
            + Person.allCases.filter { $0.role(in: "victim") != nil }.map(\.id)
    }
}

/// The accounts of a ``Place``. Their ids follow from their addresses.
enum Person: String, CaseIterable, Sendable {
    // Of the victim.
    case owner, viewer
    /// Has signed in, and was disabled.
    case disabled
    /// Has signed in and out.
    case ended
    /// Their ids are in paths.
    case spare, doomed
    /// The owner of the other project.
    case own
    /// An administrator of the instance.
    case root

    func role(in project: ProjectID) -> Role? {
        switch self {
        case .owner, .disabled, .ended: project == "victim" ? .owner : nil
        case .viewer, .spare, .doomed: project == "victim" ? .viewer : nil
        case .own: project == "shop" ? .owner : nil
        case .root: nil
        }
    }

    private var isOfVictim: Bool { role(in: "victim") != nil }

    var email: EmailAddress { EmailAddress(isOfVictim ? "zqx\(rawValue)@victim.example" : "\(rawValue)@shop.example")! }
    var name: String { isOfVictim ? "zqxperson" : "ownperson" }
    var id: String { Account.id(of: email) }
}

/// The API over a store in memory with the projects `victim` and `shop`.
struct Place: Sendable {
    static let token = "the-administrator-of-the-instance"

    let store: MemoryStore
    let settings = APISettings(port: 0, allowedHosts: ["x"])
    let services: APIServices
    /// Of look-ups of keys and sessions.
    let time = ManualClock()
    private let access: AccessServices
    /// The tokens of sessions.
    private(set) var sessions: [Person: String] = [:]

    init(_ keys: Keyring, hasVictim: Bool = true) async throws {
        let (store, publisher) = (MemoryStore(), FakePublisher())
        self.store = store
        publisher.state.withLock { $0.store = store }
        let (clock, elapsed, gate, directory) = (WallClock.fixed(noon), time.elapsed, QueryGate(), ProjectDirectory())
        let (hasher, ids, sessions) = (QuickHasher(), Self.ids(), SessionDirectory(store: store, clock: clock, elapsed: elapsed))
        let audit = AuditLog(store: store, clock: clock, ids: ids)
        // A second passes with each change: the suite makes many.
        let seconds = Counting()
        let changes = ChangeLimiter(elapsed: ElapsedClock(now: { .seconds(seconds.next()) }, sleep: elapsed.sleep))
        let signIn = SignIn(
            store: store, hasher: hasher, sessions: sessions, clock: clock, elapsed: elapsed, ids: ids, audit: audit)
        access = AccessServices(
            keys: Keys(store: store, clock: clock, audit: audit), projects: Projects(store: store, clock: clock, audit: audit),
            accounts: Accounts(store: store, hasher: hasher, clock: clock, ids: ids, audit: audit, logger: quiet),
            signIn: signIn,
            // The same for all services of a test, so that their answers can be compared.
            provider: ProviderSignIn(
                provider: FakeIdentityProvider(), signIn: signIn, elapsed: elapsed, makeSecret: { Array(repeating: 7, count: 32) }),
            audit: audit, directory: directory, rates: RateLimiter(projects: directory), changes: changes)
        services = APIServices(
            collector: Collector(
                publisher: publisher, limits: EventLimits(), horizons: IngestHorizons(firstRetentionDays: 0), clock: clock,
                ids: Self.ids()),
            reader: EventReader(store: store, gate: gate), engine: QueryEngine(store: store, cache: UnboundedCache(), gate: gate),
            pipeline: PipelineReader(store: store, gate: gate, clock: clock), storedWait: StorageWaiter(store: store),
            erasures: Erasures(store: store, clock: clock, ids: Self.ids()), clock: clock,
            // The stored keys have closed access without one.
            authenticator: KeyAccess(
                directory: KeyDirectory(store: store, clock: clock, elapsed: elapsed, logger: quiet), sessions: sessions,
                latch: AnonymousLatch(store: store, elapsed: elapsed), allowsAnonymous: true, adminToken: Self.token),
            access: access, readiness: { Readiness([]) },
            metrics: { Array("events 7\nevents{project=\"zqxmetric\"} 3\n".utf8) })
        try await fill("shop", "own")
        try await keep(keys.own, of: "shop", "own")
        if hasVictim {
            try await fill("victim", "zqx")
            for key in Array(keys.victim.values) + [keys.spare, keys.doomed] { try await keep(key, of: "victim", "zqx") }
            try await keep(keys.revoked, of: "victim", "zqx") { $0.revokedAt = noon - .seconds(60) }
            try await keep(keys.expired, of: "victim", "zqx") { $0.expiresAt = noon }
        }
        for person in Person.allCases where hasVictim || person.role(in: "victim") == nil { try await admit(person) }
        directory.take(try await store.projectRecords())
    }

    /// Makes an account with a session.
    private mutating func admit(_ person: Person) async throws {
        _ = try await access.accounts.create(
            person.email, password: TestService.password, name: person.name, isAdministrator: person == .root, by: .command)
        for project in ["victim", "shop"] as [ProjectID] {
            guard let role = person.role(in: project) else { continue }
            _ = try await access.accounts.setRole(role, of: person.email, in: project, by: .command)
        }
        let client = Client(address: "192.0.2.7", agent: "Browser")
        let new = try await access.signIn.signIn(person.email.text, TestService.password, code: nil, from: client)
        sessions[person] = new.token.text
        switch person {
        case .disabled: _ = try await access.accounts.change(person.id, AccountChange(isDisabled: true), by: .command)
        case .ended:
            try await access.signIn.signOut(SignedIn(account: new.account, session: new.session), everywhere: false, from: client)
        default: break
        }
    }

    /// Ids of one length, in the order in which they are made.
    private static func ids() -> IDGenerator {
        let number = Counting()
        return IDGenerator { "id-\(1_000_000 + number.next())" }
    }

    private func fill(_ project: ProjectID, _ mark: String) async throws {
        let events = [(2, "a"), (3_600, "b"), (90_000, "c")].map { age, letter in
            let time = noon - .seconds(age)
            let user = letter == "c" ? "second" : "user"
            let event = Event(
                project: project, id: "\(mark)event\(letter)", type: "\(mark)type", source: "\(mark)source", timestamp: time,
                data: JSONText(normalised: #"{"\#(mark)key":"\#(mark)value","path":"/\#(mark)path"}"#), correlationId: "\(mark)correlation",
                metadata: JSONText(normalised: #"{"\#(mark)meta":"\#(mark)data"}"#),
                userId: "\(mark)\(user)",
                anonymousId: "\(mark)device", sessionId: "\(mark)session", receivedAt: time, ingestID: "\(mark)ingest:\(age)")
            return StoredEvent(
                event: event, processedAt: time, context: JSONText(normalised: #"{"\#(mark)context":"\#(mark)place"}"#), fingerprint: 1)
        }
        try await store.process(events)
        _ = try await store.createProject(project, at: noon)
        try await store.setTitle(of: project, to: "\(mark)title")
        let erasures = Erasures(store: store, clock: .fixed(noon), ids: IDGenerator { "\(mark)erasure" })
        _ = try await erasures.request(Selection(project: project, userIds: ["\(mark)gone"]))
        var counts = PipelineCounts()
        counts.accepted = 3
        try await store.write([
            PipelineCell(project: project, minute: noon.minute - 2, writer: "\(mark)writer", revision: 1, counts: counts)
        ])
    }

    private func keep(
        _ key: APIKey, of project: ProjectID, _ mark: String, _ change: (inout StoredKey) -> Void = { _ in }
    ) async throws {
        var stored = StoredKey(
            digest: key.digest, project: project, scope: key.scope, name: "\(mark)name", prefix: key.prefix, maker: "\(mark)maker",
            createdAt: noon - .seconds(3_600))
        change(&stored)
        try await store.createKey(stored)
    }

    var routes: [Route] { RouteTable(services: services, settings: settings).routes }

    var application: some ApplicationProtocol { makeApplication(services: services, settings: settings, logger: TestService.quiet) }

    func run<Value>(_ test: @Sendable (any TestClientProtocol) async throws -> Value) async throws -> Value {
        try await application.test(.router, test)
    }

    struct Stored: Equatable {
        var records: [ProjectRecord]
        var keys: [StoredKey]
        var erasures: [Int64]
        var events: [String]
        var members: [Account]
    }

    func stored(_ project: ProjectID) async throws -> Stored {
        Stored(
            records: try await store.newestRecords(of: [project]), keys: try await store.keys(of: project),
            erasures: try await store.erasures(of: project).map(\.revision),
            events: store.events.filter { $0.event.project == project }.map(\.event.id),
            members: try await access.accounts.members(of: project).map { $0.account })
    }
}
