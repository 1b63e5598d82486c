import AnalyticsAPI
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsGRPC

/// Sends bytes as a message.
private struct RawSerializer: MessageSerializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }
}

/// The server on a port of this machine.
@Suite(.timeLimit(.minutes(3)))
struct GRPCServerTests {
    private let rig = GRPCRig()

    /// - Parameter body: What it returns is kept until the server has ended.
    private func run<Kept>(
        messageBytes: Int = 1 << 20, access: any Authenticator = AnonymousAccess(), _ body: (Int) async throws -> Kept
    ) async throws {
        let log = RecordedLog()
        let service = GRPCServerService(
            desk: try rig.desk(access: access), settings: .init(host: "127.0.0.1", port: 0, maximumMessageBytes: messageBytes),
            logger: log.logger)
        try await testGracefulShutdown { trigger in
            let running = Task { try await service.run() }
            defer { running.cancel() }
            try await eventually("it listens") { log.contains("gRPC is served") }
            let port = try #require(log.texts.lazy.compactMap { $0.firstMatch(of: #/"port": ([0-9]+)/#)?.1 }.first.flatMap { Int($0) })
            let kept = try await body(port)
            trigger.triggerGracefulShutdown()
            #expect(await ends(running))
            withExtendedLifetime(kept) {}
        }
    }

    // MARK: Connections

    private static let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    private static let noSettings = "\u{0}\u{0}\u{0}\u{4}\u{0}\u{0}\u{0}\u{0}\u{0}"

    /// The first frame of the server's, which has its settings; empty where it closes the connection instead.
    private static func greeting(_ connection: UnreadConnection) async throws -> [UInt8] {
        // It may be closed by then.
        try? await connection.send(preface + noSettings)
        var found: [UInt8] = []
        try await eventually("the server speaks or closes") {
            guard let bytes = connection.bytes(4_096) else {
                found = []
                return true
            }
            found += bytes
            return found.count >= 9 && found.count >= length(found)
        }
        return Array(found.prefix(found.isEmpty ? 0 : length(found)))
    }

    private static func length(_ frame: [UInt8]) -> Int { 9 + (Int(frame[0]) << 16 | Int(frame[1]) << 8 | Int(frame[2])) }

    @Test func `a connection has four calls at a time`() async throws {
        try await run { port in
            let connection = try UnreadConnection(port: port)
            let frame = try await Self.greeting(connection)
            try #require(frame.count > 9 && frame[3] == 4, "settings")
            // Of two bytes that name it and four of its value.
            let settings = stride(from: 9, to: frame.count, by: 6).map { Array(frame[$0..<$0 + 6]) }
            #expect(settings.filter { $0.starts(with: [0, 3]) } == [[0, 3, 0, 0, 0, 4]], "\(settings)")
        }
    }

    @Test func `there are 64 connections, and room again once one has gone`() async throws {
        try await run { port in
            var open: [UnreadConnection] = []
            for _ in 0..<64 {
                open.append(try UnreadConnection(port: port))
                #expect(try await !Self.greeting(open[open.count - 1]).isEmpty)
            }
            for _ in 0..<3 { #expect(try await Self.greeting(UnreadConnection(port: port)).isEmpty) }
            open.removeLast()
            try await eventually("there is room again") { try await !Self.greeting(UnreadConnection(port: port)).isEmpty }
        }
    }

    @Test func `clients that say nothing, or nothing more, do not hold up the end`() async throws {
        try await run { port in
            let (silent, begun) = (try UnreadConnection(port: port), try UnreadConnection(port: port))
            #expect(try await !Self.greeting(begun).isEmpty)
            return [silent, begun]
        }
    }

    // MARK: Calls

    private func withClient<Value: Sendable>(
        _ port: Int, _ body: @Sendable (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Value
    ) async throws -> Value {
        try await withGRPCClient(
            transport: .http2NIOPosix(target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
        ) { try await body($0) }
    }

    @Test func `a message that is too large ends its call, and no other`() async throws {
        try await run(messageBytes: 1_000) { port in
            try await withClient(port) { client in
                @Sendable func send(_ bytes: Int) async throws -> Int64 {
                    var message = Analytics_SendRequest()
                    message.events = [GRPCRig.event("e\(bytes)") { $0.dataJson = "\"\(String(repeating: "x", count: bytes))\"" }]
                    return try await client.unary(
                        request: ClientRequest(message: message), descriptor: Analytics_Ingest.Method.Send.descriptor,
                        serializer: ProtobufSerializer<Analytics_SendRequest>(),
                        deserializer: ProtobufDeserializer<Analytics_SendResponse>(), options: .defaults
                    ) { try $0.message.accepted }
                }
                let first = try await send(900)
                await #expect(throws: RPCError.self) { try await send(1_000) }
                let second = try await send(800)
                #expect(first == 1 && second == 1)
            }
        }
        #expect(rig.broker.bodies.count == 2)
    }

    /// Access for keys only; there are none.
    private var keysOnly: KeyAccess {
        let elapsed = ManualClock().elapsed
        return KeyAccess(
            directory: KeyDirectory(store: rig.store, clock: .fixed(noon), elapsed: elapsed, logger: quiet),
            latch: AnonymousLatch(store: rig.store, elapsed: elapsed), allowsAnonymous: false, adminToken: nil)
    }

    private static func problem(_ error: RPCError?) -> String? { error.flatMap { Array($0.metadata[stringValues: "problem-code"]).first } }

    @Test func `a call without a key is refused, whatever its message is and before there is one`() async throws {
        // No protobuf, and a million events without content.
        let messages: [[UInt8]] = [[0xFF], (0..<1_000_000).flatMap { _ in [0x12, 0] as [UInt8] }]
        try await run(messageBytes: 4 << 20, access: keysOnly) { port in
            try await withClient(port) { client in
                for method in Analytics_Ingest.Method.descriptors + Analytics_AnalyticsQuery.Method.descriptors {
                    for message in messages {
                        let error = await #expect(throws: RPCError.self) {
                            try await client.unary(
                                request: ClientRequest(message: message), descriptor: method, serializer: RawSerializer(),
                                deserializer: ProtobufDeserializer<Analytics_SendResponse>(), options: .defaults
                            ) { try $0.message.accepted }
                        }
                        #expect(error?.code == .unauthenticated && Self.problem(error) == "missing_key", "\(method)")
                    }
                }
                let silent = await #expect(throws: RPCError.self) {
                    try await client.clientStreaming(
                        request: StreamingClientRequest(of: [UInt8].self) { _ in try await Task.sleep(for: .seconds(600)) },
                        descriptor: Analytics_Ingest.Method.SendStream.descriptor, serializer: RawSerializer(),
                        deserializer: ProtobufDeserializer<Analytics_SendStreamResponse>(), options: .defaults
                    ) { try $0.message.accepted }
                }
                #expect(silent?.code == .unauthenticated && Self.problem(silent) == "missing_key")
                let health = try await client.unary(
                    request: ClientRequest(message: Grpc_Health_V1_HealthCheckRequest()),
                    descriptor: Grpc_Health_V1_Health.Method.Check.descriptor,
                    serializer: ProtobufSerializer<Grpc_Health_V1_HealthCheckRequest>(),
                    deserializer: ProtobufDeserializer<Grpc_Health_V1_HealthCheckResponse>(), options: .defaults
                ) { try $0.message.status }
                #expect(health == .serving)
            }
        }
    }

    @Test func `a message of more events than any limit allows is not decoded`() async throws {
        let message = (0...SendRequestReader.maximumEvents).flatMap { _ in [0x12, 0] as [UInt8] }
        try await run { port in
            try await withClient(port) { client in
                for method in Analytics_Ingest.Method.descriptors {
                    let error = await #expect(throws: RPCError.self) {
                        try await client.unary(
                            request: ClientRequest(message: message), descriptor: method, serializer: RawSerializer(),
                            deserializer: ProtobufDeserializer<Analytics_SendResponse>(), options: .defaults
                        ) { try $0.message.accepted }
                    }
                    #expect(error?.code == .invalidArgument && Self.problem(error) == "too_many_events")
                }
            }
        }
    }

    @Test func `a watched health ends with the service`() async throws {
        let (begun, sink) = AsyncStream<Void>.makeStream()
        var watch: Task<[Grpc_Health_V1_HealthCheckResponse.ServingStatus], any Error>?
        try await run { port in
            watch = Task {
                try await withClient(port) { client in
                    try await client.serverStreaming(
                        request: ClientRequest(message: Grpc_Health_V1_HealthCheckRequest()),
                        descriptor: Grpc_Health_V1_Health.Method.Watch.descriptor,
                        serializer: ProtobufSerializer<Grpc_Health_V1_HealthCheckRequest>(),
                        deserializer: ProtobufDeserializer<Grpc_Health_V1_HealthCheckResponse>(), options: .defaults
                    ) { response in
                        var states: [Grpc_Health_V1_HealthCheckResponse.ServingStatus] = []
                        for try await message in response.messages {
                            states.append(message.status)
                            sink.yield()
                        }
                        return states
                    }
                }
            }
            _ = await begun.first { _ in true }
        }
        #expect(try await watch?.value == [.serving])
    }
}
