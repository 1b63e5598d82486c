import AnalyticsAPI
import Foundation
import GRPCCore
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsGRPC

/// Calls with keys, and without. It is noon.
@Suite struct GRPCAccessTests {
    private let rig = GRPCRig()
    private let time = ManualClock()
    private let projects = ProjectDirectory()
    private let desk: ServiceDesk

    init() throws {
        let (clock, rates) = (WallClock.fixed(noon), RateLimiter(projects: projects, elapsed: time.elapsed))
        let sessions = SessionDirectory(store: rig.store, clock: clock, elapsed: time.elapsed)
        let (ids, hasher) = (IDGenerator.counting(), ScryptHasher())
        let audit = AuditLog(store: rig.store, clock: clock, ids: ids)
        let access = KeyAccess(
            directory: KeyDirectory(store: rig.store, clock: clock, elapsed: time.elapsed, logger: quiet), sessions: sessions,
            latch: AnonymousLatch(store: rig.store, elapsed: time.elapsed), allowsAnonymous: true, adminToken: "the token")
        desk = try rig.desk(
            access: access,
            projects: AccessServices(
                keys: Keys(store: rig.store, clock: clock, audit: audit),
                projects: Projects(store: rig.store, clock: clock, audit: audit),
                accounts: Accounts(store: rig.store, hasher: hasher, clock: clock, ids: ids, audit: audit, logger: quiet),
                signIn: SignIn(
                    store: rig.store, hasher: hasher, sessions: sessions, clock: clock, elapsed: time.elapsed, ids: ids, audit: audit),
                audit: audit, directory: projects, rates: rates),
            rates: rates)
    }

    private func makeKey(_ scope: Scope, _ change: (inout StoredKey) -> Void = { _ in }) async throws -> String {
        let key = APIKey(project: "shop", scope: scope)
        var stored = StoredKey(
            digest: key.digest, project: "shop", scope: scope, name: "", prefix: key.prefix, maker: "command line", createdAt: noon)
        change(&stored)
        try await rig.store.createKey(stored)
        return key.text
    }

    private static func bearer(_ key: String) -> Metadata { ["authorization": .string("Bearer \(key)")] }

    /// Status and `problem-code` of the refusal of an event.
    private func refusal(_ metadata: Metadata) async -> String {
        let error = await #expect(throws: RPCError.self) { try await rig.send([GRPCRig.event("x")], metadata: metadata, to: desk) }
        return error.map { "\($0.code) \(Array($0.metadata[stringValues: "problem-code"]).joined())" } ?? ""
    }

    @Test func `a key decides the project, wherever its call carries it`() async throws {
        let key = try await makeKey(.write)
        let basic = Data("\(key):".utf8).base64EncodedString()
        for metadata in [Self.bearer(key), ["x-api-key": .string(key)], ["authorization": .string("Basic \(basic)")]] as [Metadata] {
            #expect(try await rig.send([GRPCRig.event("a")], metadata: metadata, to: desk).accepted == 1)
            #expect(try await rig.send([GRPCRig.event("a")], tenant: "shop", metadata: metadata, to: desk).accepted == 1)
        }
        let events = try rig.broker.bodies.flatMap { try EnvelopeDecoder().decode($0).events }
        #expect(events.count == 6 && events.allSatisfy { $0.project == "shop" })
        let other = await #expect(throws: RPCError.self) {
            try await rig.send([GRPCRig.event("a")], tenant: "default", metadata: Self.bearer(key), to: desk)
        }
        #expect(other?.code == .permissionDenied)
    }

    @Test func `a call without a right key is refused by a status of its own`() async throws {
        let first = try await rig.send([GRPCRig.event("a")], to: desk)
        #expect(first.accepted == 1, "until a key is made")
        let (write, read) = (try await makeKey(.write), try await makeKey(.read))
        let (revoked, expired) = (try await makeKey(.write) { $0.revokedAt = noon }, try await makeKey(.write) { $0.expiresAt = noon })
        time.advance(by: .seconds(1))
        #expect(await refusal([:]) == "unauthenticated missing_key")
        #expect(await refusal(Self.bearer("nonsense")) == "unauthenticated invalid_key")
        #expect(await refusal(Self.bearer(revoked)) == "unauthenticated revoked_key")
        #expect(await refusal(Self.bearer(expired)) == "unauthenticated expired_key")
        #expect(await refusal(Self.bearer(read)) == "permissionDenied insufficient_scope")
        #expect(await refusal(Self.bearer("the token")) == "unauthenticated invalid_key", "two words are no credential")
        #expect(await refusal(["x-api-key": "the token"]) == "permissionDenied insufficient_scope")
        var both = Self.bearer(write)
        both.addString(read, forKey: "x-api-key")
        #expect(await refusal(both) == "invalidArgument invalid_header")
        let asked = await #expect(throws: RPCError.self) {
            try await QueryService(desk: desk).getTopN(
                request: ServerRequest(metadata: Self.bearer(write), message: .init()), context: GRPCRig.context("M"))
        }
        #expect(asked?.code == .permissionDenied)
        #expect(rig.broker.bodies.count == 1)
    }

    @Test(arguments: [true, false]) func `a revoked key ends its stream at the next message`(isEmpty: Bool) async throws {
        let key = try await makeKey(.write)
        let id = try #require(APIKey(key)).digest.keyID
        let (messages, sink) = AsyncThrowingStream<Analytics_SendRequest, any Error>.makeStream()
        let stream = Task { [desk] in
            try await IngestService(desk: desk)
                .sendStream(
                    request: StreamingServerRequest(metadata: Self.bearer(key), messages: RPCAsyncSequence(wrapping: messages)),
                    context: GRPCRig.context("SendStream")
                ).message.accepted
        }
        var batch = Analytics_SendRequest()
        batch.events = [GRPCRig.event("a")]
        sink.yield(.init())
        sink.yield(batch)
        try await eventually("the first batch is accepted") { rig.broker.bodies.count == 1 }
        try await rig.store.revokeKey(id, at: noon)
        // States of keys are kept for 15 s.
        time.advance(by: .seconds(16))
        sink.yield(isEmpty ? .init() : batch)
        sink.finish()
        let error = await #expect(throws: RPCError.self) { try await stream.value }
        #expect(error?.code == .unauthenticated && error.map { Array($0.metadata[stringValues: "problem-code"]) } == ["revoked_key"])
        #expect(error?.message.hasSuffix(" Of this stream 1 events before it were read, of which 1 are accepted.") == true)
        #expect(rig.broker.bodies.count == 1)
    }

    @Test func `a check of the key takes no request of the rate`() async throws {
        let key = try await makeKey(.write)
        projects.take([ProjectRecord(project: "shop", rates: ProjectRates(requestsPerSecond: 1))])
        let call = ServiceDesk.Call(GRPCRig.context("Send"), Self.bearer(key))
        for _ in 0..<5 { try await desk.check(.write, call) }
        #expect(try await rig.send([GRPCRig.event("a")], metadata: Self.bearer(key), to: desk).accepted == 1)
        let error = await #expect(throws: DeskFailure.self) { try await desk.check(.read, call) }
        #expect(error?.code == "insufficient_scope")
    }

    @Test func `rates and archived projects end calls`() async throws {
        let key = try await makeKey(.write)
        projects.take([ProjectRecord(project: "shop", rates: ProjectRates(requestsPerSecond: 1))])
        #expect(try await rig.send([GRPCRig.event("a")], metadata: Self.bearer(key), to: desk).accepted == 1)
        #expect(await refusal(Self.bearer(key)) == "resourceExhausted rate_limited")
        projects.take([ProjectRecord(project: "shop", rates: ProjectRates(eventsPerSecond: 1))])
        #expect(try await rig.send([GRPCRig.event("b")], metadata: Self.bearer(key), to: desk).accepted == 1)
        #expect(await refusal(Self.bearer(key)) == "resourceExhausted rate_limited")
        projects.take([ProjectRecord(project: "shop", archivedAt: noon)])
        #expect(await refusal(Self.bearer(key)) == "permissionDenied project_archived")
        #expect(rig.broker.bodies.count == 2)
    }
}
