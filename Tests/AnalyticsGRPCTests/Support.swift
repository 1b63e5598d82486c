import AnalyticsAPI
import GRPCCore
import Hummingbird
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsGRPC

/// What the services are made of, in memory. It is noon.
struct GRPCRig {
    let store = MemoryStore()
    let broker = MemoryBroker()

    func desk(
        _ queries: QueryGate.Limits = .init(), access: any Authenticator = AnonymousAccess(), projects: AccessServices? = nil,
        rates: RateLimiter? = nil, readiness: Readiness = Readiness([]),
        _ change: (inout APISettings) -> Void = { _ in }
    ) throws -> ServiceDesk {
        let gate = QueryGate(limits: queries)
        let services = APIServices(
            collector: Collector(
                publisher: broker, limits: EventLimits(), horizons: IngestHorizons(firstRetentionDays: 0), rates: rates,
                clock: .fixed(noon), ids: .counting()),
            reader: EventReader(store: store, gate: gate), engine: QueryEngine(store: store, cache: UnboundedCache(), gate: gate),
            pipeline: PipelineReader(store: store, gate: gate, clock: .fixed(noon)),
            storedWait: StorageWaiter(store: store), erasures: Erasures(store: store, clock: .fixed(noon), ids: .counting()),
            clock: .fixed(noon), authenticator: access, access: projects, readiness: { readiness }, metrics: nil)
        var settings = APISettings()
        change(&settings)
        return try #require(ServiceDesk(services: services, settings: settings, memory: MemoryLimits(settings), logger: quiet))
    }

    /// Inserts events and marks them, as a processor does.
    func process(_ events: [StoredEvent]) async throws {
        var marks = BucketMarks()
        for (event, outcome) in zip(events, try await store.insert(events)) { marks.touch(event, outcome) }
        try await marks.write(to: store)
    }

    /// - Parameter metadata: May carry a key; `key` is that of idempotency.
    func send(
        _ events: [Analytics_Event], tenant: String = "", key: String = "", metadata: Metadata = [:], to desk: ServiceDesk
    ) async throws -> Analytics_SendResponse {
        var request = Analytics_SendRequest()
        (request.events, request.tenantID, request.idempotencyKey) = (events, tenant, key)
        return try await IngestService(desk: desk)
            .send(request: ServerRequest(metadata: metadata, message: request), context: Self.context("Send")).message
    }

    static let peer = "ipv4:127.0.0.1:1"

    static func context(_ method: String, peer: String = Self.peer) -> ServerContext {
        ServerContext(
            descriptor: MethodDescriptor(fullyQualifiedService: "analytics.X", method: method), remotePeer: peer,
            localPeer: "ipv4:127.0.0.1:2",
            cancellation: .init())
    }

    static func event(_ id: String, _ change: (inout Analytics_Event) -> Void = { _ in }) -> Analytics_Event {
        var event = Analytics_Event()
        (event.id, event.type, event.source) = (id, "t", "s")
        change(&event)
        return event
    }
}

/// As a key would: the project and the scopes are the key's.
struct FixedAccess: Authenticator {
    var project: ProjectID
    var scopes: Set<Scope>

    func asksForKey() async throws -> Bool { false }

    func principal(of request: Request, for scope: Scope, from peer: String) async throws -> Principal {
        Principal(project: project, scopes: scopes)
    }
}
