import AnalyticsAPI
import AnalyticsJSON
import GRPCCore
import SwiftProtobuf
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsGRPC

/// Every method, with every kind of key that must get nothing from it. All texts that the project `victim` stores begin with `zqx`. It is
/// noon.
@Suite struct LeakTableTests {
    /// Sends a call with these headers, for this tenant. Returns the answer as text.
    private typealias Call = @Sendable (ServiceDesk, Metadata, _ tenant: String) async throws -> String

    private struct Method {
        var scope: Scope
        var call: Call
    }

    /// By their full names.
    private static let methods: [String: Method] = [
        "analytics.AnalyticsQuery/GetTimeseries": Method(scope: .read) { desk, metadata, tenant in
            var message = Analytics_TimeseriesRequest()
            (message.tenantID, message.groupBy) = (tenant, "source")
            let request = ServerRequest(metadata: metadata, message: message)
            return try await QueryService(desk: desk).getTimeseries(request: request, context: GRPCRig.context("M")).message
                .textFormatString()
        },
        "analytics.AnalyticsQuery/GetTopN": Method(scope: .read) { desk, metadata, tenant in
            var message = Analytics_TopNRequest()
            (message.tenantID, message.dimension) = (tenant, "userId")
            let request = ServerRequest(metadata: metadata, message: message)
            return try await QueryService(desk: desk).getTopN(request: request, context: GRPCRig.context("M")).message.textFormatString()
        },
        "analytics.AnalyticsQuery/GetFunnel": Method(scope: .read) { desk, metadata, tenant in
            var message = Analytics_FunnelRequest()
            (message.tenantID, message.groupBy) = (tenant, "source")
            message.steps = ["view", "order"].map { type in
                var step = Analytics_EventPattern()
                step.types = [type]
                return step
            }
            let request = ServerRequest(metadata: metadata, message: message)
            return try await QueryService(desk: desk).getFunnel(request: request, context: GRPCRig.context("M")).message.textFormatString()
        },
        "analytics.AnalyticsQuery/GetRetention": Method(scope: .read) { desk, metadata, tenant in
            var message = Analytics_RetentionRequest()
            message.tenantID = tenant
            let request = ServerRequest(metadata: metadata, message: message)
            return try await QueryService(desk: desk).getRetention(request: request, context: GRPCRig.context("M")).message
                .textFormatString()
        },
        "analytics.Ingest/Send": Method(scope: .write) { desk, metadata, tenant in
            let request = ServerRequest(metadata: metadata, message: Self.sent(tenant))
            return try await IngestService(desk: desk).send(request: request, context: GRPCRig.context("M")).message.textFormatString()
        },
        "analytics.Ingest/SendStream": Method(scope: .write) { desk, metadata, tenant in
            let (messages, sink) = AsyncThrowingStream<Analytics_SendRequest, any Error>.makeStream()
            sink.yield(Self.sent(tenant))
            sink.finish()
            let request = StreamingServerRequest(metadata: metadata, messages: RPCAsyncSequence(wrapping: messages))
            return try await IngestService(desk: desk).sendStream(request: request, context: GRPCRig.context("M")).message
                .textFormatString()
        },
    ]

    /// The id of one of the victim's events, and one that its key for repeated requests makes.
    private static func sent(_ tenant: String) -> Analytics_SendRequest {
        var message = Analytics_SendRequest()
        message.events = [GRPCRig.event("first"), GRPCRig.event("")]
        (message.tenantID, message.idempotencyKey) = (tenant, "again")
        return message
    }

    @Test func `every method is here, except those of services that tell nothing of events`() {
        let all = Analytics_AnalyticsQuery.Method.descriptors + Analytics_Ingest.Method.descriptors
        #expect(all.map(\.fullyQualifiedMethod).sorted() == Self.methods.keys.sorted())
        #expect(
            GRPCServerService.names == [
                "analytics.AnalyticsQuery", "analytics.Ingest", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
            ])
    }

    @Test func `no key, and one that is malformed, unknown, revoked or expired, open no method`() async throws {
        let (place, keys) = (try await Place(), Place.keys)
        let refused: [(key: String?, code: String)] = [
            (nil, "missing_key"), ("nonsense", "invalid_key"), (String(keys.admin.text.dropLast()), "invalid_key"),
            (keys.unknown.text, "invalid_key"), (keys.revoked.text, "revoked_key"), (keys.expired.text, "expired_key"),
        ]
        for (name, method) in Self.methods {
            for (key, code) in refused {
                let error = await #expect(throws: RPCError.self) { try await method.call(place.desk, Place.metadata(key), "") }
                #expect(error?.code == .unauthenticated && Place.problem(error) == code, "\(name) \(code)")
                #expect(error?.message.contains("zqx") == false)
            }
        }
    }

    @Test func `a method takes keys of its scope, and of its project`() async throws {
        let (place, keys) = (try await Place(), Place.keys)
        for (name, method) in Self.methods {
            for (scope, key) in keys.victim {
                guard !scope.granted.contains(method.scope) else {
                    let answer = try await method.call(place.desk, Place.metadata(key.text), "victim")
                    #expect(answer.contains("zqx") || method.scope == .write || name.contains("Retention"), "\(name) \(answer)")
                    continue
                }
                let error = await #expect(throws: RPCError.self) { try await method.call(place.desk, Place.metadata(key.text), "") }
                #expect(error?.code == .permissionDenied && Place.problem(error) == "insufficient_scope", "\(name)")
            }
            let other = await #expect(throws: RPCError.self) { try await method.call(place.desk, Place.metadata(keys.own.text), "victim") }
            #expect(other?.code == .permissionDenied && other?.message.contains("zqx") == false, "\(name)")
        }
    }

    /// The same calls go to a service that never had a victim.
    @Test func `a key of another project gets what it would get if the victim did not exist`() async throws {
        let (place, other) = (try await Place(), try await Place(hasVictim: false))
        let names = Self.methods.keys.sorted()
        // The victim's answers are in the caches, and its events are sent.
        for name in names { _ = try await Self.methods[name]?.call(place.desk, Place.metadata(Place.keys.admin.text), "") }
        for name in names {
            let answer = try await Self.methods[name]?.call(place.desk, Place.metadata(Place.keys.own.text), "shop")
            let expected = try await Self.methods[name]?.call(other.desk, Place.metadata(Place.keys.own.text), "shop")
            #expect(answer == expected && answer?.contains("zqx") == false, "\(name)")
        }
    }
}

/// The services over a store in memory with the projects `victim` and `shop`.
private struct Place {
    struct Keys {
        let victim = Dictionary(uniqueKeysWithValues: Scope.allCases.map { ($0, APIKey(project: "victim", scope: $0)) })
        let revoked = APIKey(project: "victim", scope: .admin)
        let expired = APIKey(project: "victim", scope: .admin)
        /// Never stored.
        let unknown = APIKey(project: "victim", scope: .admin)
        /// The other project's.
        let own = APIKey(project: "shop", scope: .admin)

        var admin: APIKey { victim[.admin]! }
    }

    static let keys = Keys()

    private let rig = GRPCRig()
    let desk: ServiceDesk

    init(hasVictim: Bool = true) async throws {
        let elapsed = ManualClock().elapsed
        let access = KeyAccess(
            directory: KeyDirectory(store: rig.store, clock: .fixed(noon), elapsed: elapsed, logger: quiet),
            latch: AnonymousLatch(store: rig.store, elapsed: elapsed), allowsAnonymous: true, adminToken: nil)
        desk = try rig.desk(access: access)
        let keys = Self.keys
        try await fill("shop", "own")
        try await keep(keys.own, of: "shop")
        guard hasVictim else { return }
        try await fill("victim", "zqx")
        for key in keys.victim.values { try await keep(key, of: "victim") }
        try await keep(keys.revoked, of: "victim") { $0.revokedAt = noon - .seconds(60) }
        try await keep(keys.expired, of: "victim") { $0.expiresAt = noon }
    }

    private func fill(_ project: ProjectID, _ mark: String) async throws {
        try await rig.process(
            [("first", "view", 120), ("second", "order", 60)].map { id, type, age in
                let time = noon - .seconds(age)
                let event = Event(
                    project: project, id: id, type: type, source: "\(mark)source", timestamp: time,
                    data: JSONText(normalised: #"{"\#(mark)key":"\#(mark)value"}"#), userId: "\(mark)user", receivedAt: time,
                    ingestID: "\(project)-\(id):0")
                return StoredEvent(event: event, processedAt: time, context: nil, fingerprint: 1)
            })
    }

    private func keep(_ key: APIKey, of project: ProjectID, _ change: (inout StoredKey) -> Void = { _ in }) async throws {
        var stored = StoredKey(
            digest: key.digest, project: project, scope: key.scope, name: "", prefix: key.prefix, maker: "test",
            createdAt: noon - .seconds(3_600))
        change(&stored)
        try await rig.store.createKey(stored)
    }

    static func metadata(_ key: String?) -> Metadata {
        var metadata = Metadata()
        if let key { metadata.addString("Bearer \(key)", forKey: "authorization") }
        return metadata
    }

    static func problem(_ error: RPCError?) -> String? { error.flatMap { Array($0.metadata[stringValues: "problem-code"]).first } }
}
