import AnalyticsAPI
import AnalyticsCore
import AnalyticsJSON
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Synchronization
import TestSupport

/// The API over fakes: it is 2026-03-01T12:00:00Z, ids are id-1, id-2, …
struct TestService {
    static let now = Timestamp(rfc3339: "2026-03-01T12:00:00Z")!
    static let clock = WallClock { TestService.now }
    /// `ADMIN_TOKEN` of ``keyAccess(allowsAnonymous:)``.
    static let adminToken = "a-token-of-thirty-two-characters"

    let publisher = FakePublisher()
    let store = MemoryStore()
    /// Of look-ups of keys and sessions, of attempts to sign in, and of rates.
    let time = ManualClock()
    let projects = ProjectDirectory()
    let sessions: SessionDirectory
    /// Of entries of the audit log, in the order in which they are made.
    let recordIDs: IDGenerator = {
        let number = Counting()
        return IDGenerator { "e-\(1_000_000 + number.next())" }
    }()
    let hasher = QuickHasher()
    /// `nil`: people sign in with passwords only.
    var provider: FakeIdentityProvider? = FakeIdentityProvider()
    var limits = EventLimits()
    var queries = QueryGate.Limits()
    var settings = APISettings(allowedHosts: ["x"])
    var readiness = Readiness([.init(name: "broker"), .init(name: "store"), .init(name: "cache", isRequired: false)])
    var authenticator: any Authenticator = AnonymousAccess()
    var visitors: VisitorIdentifier?
    var metrics: (@Sendable () -> [UInt8])? = { Array("# nothing\n".utf8) }

    init() {
        sessions = SessionDirectory(store: store, clock: Self.clock, elapsed: time.elapsed)
        publisher.state.withLock { [store] in $0.store = store }
    }

    var services: APIServices {
        let counter = Mutex(0)
        let ids = IDGenerator {
            counter.withLock { last in
                last += 1
                return "id-\(last)"
            }
        }
        let gate = QueryGate(limits: queries)
        let rates = RateLimiter(projects: projects, elapsed: time.elapsed)
        return APIServices(
            collector: Collector(
                publisher: publisher, limits: limits,
                horizons: IngestHorizons(firstRetentionDays: 30), visitors: visitors, rates: rates,
                clock: Self.clock, ids: ids),
            reader: EventReader(store: store, gate: gate), engine: QueryEngine(store: store, cache: UnboundedCache(), gate: gate),
            pipeline: PipelineReader(store: store, gate: gate, clock: Self.clock),
            storedWait: StorageWaiter(store: store), erasures: Erasures(store: store, clock: Self.clock, ids: ids),
            clock: Self.clock, authenticator: authenticator,
            access: AccessServices(
                keys: Keys(store: store, clock: Self.clock, audit: audit),
                projects: Projects(store: store, clock: Self.clock, audit: audit), accounts: accounts, signIn: signIn,
                provider: provider.map { ProviderSignIn(provider: $0, signIn: signIn, elapsed: time.elapsed) }, audit: audit,
                directory: projects, rates: rates, changes: ChangeLimiter(elapsed: time.elapsed)),
            readiness: { [readiness] in readiness }, metrics: metrics
        )
    }

    /// Twenty events of 200 KB, which an export reads in several slices.
    func storeLargeEvents(of project: ProjectID) async throws {
        try await store.process(
            (0..<20).map { index in
                let time = Self.now - .milliseconds(index)
                let event = Event(
                    project: project, id: "e\(index)", type: "t", source: "s", timestamp: time,
                    data: JSONText(normalised: "\"\(String(repeating: "x", count: 200_000))\""), receivedAt: time, ingestID: "r:\(index)")
                return StoredEvent(event: event, processedAt: time, context: nil, fingerprint: 0)
            })
    }

    func keyAccess(allowsAnonymous: Bool = true) -> KeyAccess {
        KeyAccess(
            directory: KeyDirectory(store: store, clock: Self.clock, elapsed: time.elapsed, logger: Self.quiet), sessions: sessions,
            latch: AnonymousLatch(store: store, elapsed: time.elapsed), allowsAnonymous: allowsAnonymous, adminToken: Self.adminToken,
            settings: settings)
    }

    /// Stores a key of a project, which gets a record.
    func makeKey(
        _ scope: Scope, of project: ProjectID = "shop", _ change: (inout StoredKey) -> Void = { _ in }
    ) async throws -> String {
        let key = APIKey(project: project, scope: scope)
        var stored = StoredKey(
            digest: key.digest, project: project, scope: scope, name: "\(scope)", prefix: key.prefix, maker: "command line",
            createdAt: Self.now)
        change(&stored)
        _ = try await store.createProject(project, at: Self.now)
        try await store.createKey(stored)
        return key.text
    }

    var application: some ApplicationProtocol {
        makeApplication(services: services, settings: settings, logger: Self.quiet)
    }

    static var quiet: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }

    func run(_ setup: TestingSetup = .router, _ test: @Sendable (any TestClientProtocol) async throws -> Void) async throws {
        try await application.test(setup, test)
    }
}

extension TestClientProtocol {
    func post(_ uri: String, _ body: String, _ headers: HTTPFields = [.contentType: "application/json"]) async throws -> TestResponse {
        try await post(uri, Array(body.utf8), headers)
    }

    func post(_ uri: String, _ body: [UInt8], _ headers: HTTPFields = [.contentType: "application/json"]) async throws -> TestResponse {
        try await executeRequest(uri: uri, method: .post, headers: headers, body: ByteBuffer(bytes: body))
    }

    func get(_ uri: String, _ headers: HTTPFields = [:]) async throws -> TestResponse {
        try await executeRequest(uri: uri, method: .get, headers: headers, body: nil)
    }

    /// An event with a key.
    func send(_ id: String, key: String, _ headers: HTTPFields = [:]) async throws -> TestResponse {
        var fields: HTTPFields = [.contentType: "application/json", .authorization: "Bearer \(key)"]
        for field in headers { fields[field.name] = field.value }
        return try await post("/api/v1/events", Sample.event(id), fields)
    }
}

extension HTTPFields {
    static func bearer(_ key: String) -> HTTPFields { [.authorization: "Bearer \(key)"] }
}

extension TestResponse {
    var text: String { String(buffer: body) }

    var json: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(body.readableBytesView)) as? [String: Any]) ?? [:] }

    var code: String? { json["code"] as? String }

    var isProblem: Bool {
        headers[.contentType] == "application/problem+json" && (json["status"] as? Int) == status.code && json["title"] is String
            && json["detail"] is String && (json["type"] as? String) == "/docs#problem-\(code ?? "")"
    }
}

enum Sample {
    static func event(_ id: String, _ more: String = "") -> String {
        #"{"id":"\#(id)","type":"page_view","source":"web","timestamp":"2026-03-01T11:59:00Z","data":{"n":1}\#(more)}"#
    }
}
