import AnalyticsAPI
import AnalyticsJSON
import Foundation
import GRPCCore
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsGRPC

/// The services over fakes, without a connection.
@Suite struct GRPCServiceTests {
    private let rig = GRPCRig()
    private var store: MemoryStore { rig.store }
    private var broker: MemoryBroker { rig.broker }

    private static func context(_ method: String, peer: String = GRPCRig.peer) -> ServerContext { GRPCRig.context(method, peer: peer) }

    private static func event(_ id: String, _ change: (inout Analytics_Event) -> Void = { _ in }) -> Analytics_Event {
        GRPCRig.event(id, change)
    }

    private func send(_ events: [Analytics_Event], memory: Int = 64 << 20, tenant: String = "") async throws -> Analytics_SendResponse {
        try await rig.send(events, tenant: tenant, to: rig.desk { $0.maximumBodyBytesInMemory = memory })
    }

    private func stream(_ batches: [[Analytics_Event]], memory: Int = 64 << 20) async throws -> Analytics_SendStreamResponse {
        let (messages, sink) = AsyncThrowingStream<Analytics_SendRequest, any Error>.makeStream()
        for events in batches {
            var request = Analytics_SendRequest()
            request.events = events
            sink.yield(request)
        }
        sink.finish()
        return try await IngestService(desk: rig.desk { $0.maximumBodyBytesInMemory = memory })
            .sendStream(
                request: StreamingServerRequest(metadata: [:], messages: RPCAsyncSequence(wrapping: messages)),
                context: Self.context("SendStream")
            ).message
    }

    // MARK: Events

    @Test func `each event has a result, in their order, and is read as a native one`() async throws {
        let events = [
            Self.event("a") {
                ($0.dataJson, $0.userID, $0.timestamp) = (#"{"n": [1, 2.5, 1234567890123456789]}"#, "ann", "2026-03-01T11:00:00+01:00")
                ($0.correlationID, $0.anonymousID, $0.sessionID) = ("trace", "device", "visit")
            },
            Self.event("b") { $0.type = "" }, Self.event("") { $0.dataJson = "\"é\\n\"" },
            Self.event("c") { $0.dataJson = #"1,"userId":"x""# }, Self.event("d") { $0.dataJson = "1}" },
            Self.event("e") { $0.dataJson = "{" },
            Self.event("f") { $0.metadataJson = "[1]" }, Self.event("g") { ($0.metadataJson, $0.dataJson) = (#"{"k":1}"#, "\n[\n]\n") },
            Self.event("h") { $0.metadataJson = #"{},"id":"z""# },
        ]
        let answer = try await send(events)
        #expect(answer.accepted == 3 && answer.results.map(\.index) == Array(0..<9))
        #expect(
            answer.results.map(\.status) == [
                .accepted, .rejected, .accepted, .rejected, .rejected, .rejected, .rejected, .accepted, .rejected,
            ])
        #expect(answer.results[1].field == "type" && answer.results[1].code == "missing_field" && !answer.results[1].message.isEmpty)
        #expect(answer.results[3].code == "invalid_json" && answer.results[8].code == "invalid_json" && !answer.results[2].id.isEmpty)
        let sent = try broker.bodies.flatMap { try EnvelopeDecoder().decode($0).events }
        try #require(sent.map(\.id) == ["a", answer.results[2].id, "g"])
        #expect(sent[0].data?.text == #"{"n":[1,2.5,1234567890123456789]}"# && sent[0].userId == "ann")
        #expect(sent[0].correlationId == "trace" && sent[0].anonymousId == "device" && sent[0].sessionId == "visit")
        #expect(sent[0].timestamp == noon - .seconds(2 * 3600) && sent[1].data?.text == "\"é\\n\"" && sent[2].data?.text == "[]")
        #expect(sent[2].metadata?.text == #"{"k":1}"# && sent[1].userId == nil)
    }

    @Test func `what the broker does not confirm is to be sent again`() async throws {
        broker.faults.down([.publish])
        let answer = try await send([Self.event("a"), Self.event("b") { $0.source = "" }])
        #expect(answer.accepted == 0 && answer.results.map(\.status) == [.unconfirmed, .rejected])
        #expect(answer.results[0].id == "a" && answer.results[0].message == "the broker is down, full, or has not confirmed in time")
    }

    @Test func `a stream is read batch by batch, and ends where one is not confirmed`() async throws {
        let whole = try await stream([[Self.event("a"), Self.event("b") { $0.type = "" }], [], [Self.event("c")]])
        #expect(whole.received == 3 && whole.accepted == 2 && whole.rejected == 1 && whole.unconfirmed == 0)
        #expect(whole.results.map(\.index) == [1] && whole.results[0].code == "missing_field")
        let published = Mutex(0)
        broker.answer { _, _ in
            published.withLock { number in
                number += 1
                return number == 1 ? .confirm : .lose
            }
        }
        let cut = try await stream([[Self.event("d")], [Self.event("e"), Self.event("f")], [Self.event("g")]])
        #expect(cut.received == 3 && cut.accepted == 1 && cut.unconfirmed == 2 && cut.results.map(\.index) == [1, 2])
        #expect(try broker.bodies.flatMap { try EnvelopeDecoder().decode($0).events.map(\.id) } == ["a", "c", "d"])
    }

    @Test func `a stream's answer lists the first rejected events, and counts all`() async throws {
        let bad = (0..<700).map { index in Self.event("\(index)") { $0.type = "" } }
        let answer = try await stream([bad, bad, bad])
        #expect(answer.rejected == 2_100 && answer.received == 2_100 && answer.results.map(\.index) == Array(0..<1_000))
    }

    @Test func `a request without events, and one for which there is no room, is told by a status`() async throws {
        let empty = await #expect(throws: RPCError.self) { try await send([]) }
        #expect(empty?.code == .invalidArgument && empty.map { Array($0.metadata[stringValues: "problem-code"]) } == ["empty_batch"])
        let full = await #expect(throws: RPCError.self) {
            try await send([Self.event("a") { $0.dataJson = "\"\(String(repeating: "x", count: 5_000))\"" }], memory: 4_000)
        }
        #expect(full?.code == .unavailable)
        #expect(try await send([Self.event("a")], memory: 4_000).accepted == 1)
        let large = Self.event("c") { $0.dataJson = "\"\(String(repeating: "x", count: 5_000))\"" }
        let cut = await #expect(throws: RPCError.self) {
            try await stream([[Self.event("a"), Self.event("b") { $0.type = "" }], [large]], memory: 4_000)
        }
        #expect(cut?.code == .unavailable)
        #expect(cut?.message.hasSuffix(" Of this stream 2 events before it were read, of which 1 are accepted.") == true)
    }

    /// As with HTTP; where there is no memory for their text, too.
    @Test func `a batch of too many events is refused before it is written as text`() async throws {
        let events = [Analytics_Event](repeating: Self.event("a"), count: EventLimits().maximumBatchEvents + 1)
        for memory in [64 << 20, 4_000] {
            let sent = await #expect(throws: RPCError.self) { try await send(events, memory: memory) }
            let streamed = await #expect(throws: RPCError.self) { try await stream([events], memory: memory) }
            for refusal in [sent, streamed] {
                #expect(refusal?.code == .invalidArgument)
                #expect(refusal.map { Array($0.metadata[stringValues: "problem-code"]) } == ["too_many_events"])
            }
        }
        #expect(broker.bodies.isEmpty)
    }

    @Test func `the events of an encoded batch are counted`() throws {
        func count(_ bytes: [UInt8]) -> Int { bytes.withUnsafeBytes { SendRequestReader.events(in: $0) } }
        var request = Analytics_SendRequest()
        (request.tenantID, request.idempotencyKey) = ("shop", "k")
        request.events = [Self.event("a") { $0.dataJson = String(repeating: "1", count: 300) }, .init(), Self.event("b")]
        let bytes: [UInt8] = try request.serializedBytes()
        #expect(count(bytes) == 3 && count([]) == 0)
        // Unknown fields of each wire type come first.
        #expect(count([0x78, 0x96, 1, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7D, 1, 2, 3, 4, 0x7B, 0x7C] + bytes) == 3)
        // It ends within a length, a value, or a number.
        for cut in [[0x12], [0x12, 5, 0], [0x78, 0xFF], [0x79, 1], [0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]]
            as [[UInt8]]
        {
            #expect(count(bytes + cut) == 3, "\(cut)")
        }
    }

    @Test func `an event without an id has the same one when its request is sent again with its key`() async throws {
        let desk = try rig.desk()
        func ids(_ key: String) async throws -> [String] {
            try await rig.send([Self.event(""), Self.event("")], key: key, to: desk).results.map(\.id)
        }
        let first = try await ids("k")
        #expect(try await ids("k") == first)
        let others = try await ids("other") + ids("")
        #expect(Set(first + others).count == 6)
        let wrong = await #expect(throws: RPCError.self) { try await ids("\n") }
        #expect(wrong?.code == .invalidArgument)
    }

    // MARK: Who asks

    @Test func `another project is refused, and a call carries its address and headers`() async throws {
        let other = await #expect(throws: RPCError.self) { try await send([Self.event("a")], tenant: "other") }
        #expect(other?.code == .permissionDenied && other?.message.contains("'default'") == true)
        #expect(try await send([Self.event("a")], tenant: "default").accepted == 1)
        for (peer, address) in [("ipv4:10.1.2.3:55", "10.1.2.3"), ("ipv6:[2001:db8::1]:5", "2001:db8::1"), ("unix:/x", nil), ("x", nil)] {
            let call = ServiceDesk.Call(Self.context("M", peer: peer), ["user-agent": "u", "x-bin": .binary([1])])
            #expect(call.peer == address && call.path == "/analytics.X/M")
            #expect(call.headers.map(\.name) == ["user-agent"])
        }
    }

    // MARK: Limits

    /// When it is their turn; records and generations are read before.
    private static func isRead(byQuestions name: String) -> Bool {
        ["versions", "segmentHeads", "scanEvents", "countEvents"].contains(name) || name.hasPrefix("rollups")
    }

    @Test func `questions behind a full gate, and those that take too long, have a status of their own`() async throws {
        store.beforeRead { name async throws(StoreError) in
            if Self.isRead(byQuestions: name) { try? await Task.sleep(for: .seconds(600)) }
        }
        let service = QueryService(desk: try rig.desk(QueryGate.Limits(concurrent: 1, waiting: 1, timeout: .seconds(2))))
        let codes = await withTaskGroup(of: RPCError.Code?.self) { group in
            for index in 0..<6 {
                group.addTask {
                    var request = Analytics_TimeseriesRequest()
                    request.metric = "sum(data.n\(index))"
                    do {
                        _ = try await service.getTimeseries(
                            request: ServerRequest(metadata: [:], message: request), context: Self.context("M"))
                        return nil
                    } catch { return (error as? RPCError)?.code }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(codes.allSatisfy { $0 == .unavailable || $0 == .deadlineExceeded } && codes.contains(.deadlineExceeded), "\(codes)")
    }

    @Test func `a caller that goes ends its question`() async throws {
        let (begun, sink) = AsyncStream<Void>.makeStream()
        store.beforeRead { name async throws(StoreError) in
            guard Self.isRead(byQuestions: name) else { return }
            sink.yield()
            try? await Task.sleep(for: .seconds(600))
        }
        // The question's own time would end it, too.
        let service = QueryService(desk: try rig.desk(QueryGate.Limits(timeout: .seconds(600))))
        let context = Self.context("M")
        let question = Task { try await service.getTopN(request: ServerRequest(metadata: [:], message: .init()), context: context) }
        _ = await begun.first { _ in true }
        context.cancellation.cancel()
        #expect(await ends(Task { _ = await question.result }))
    }

    // MARK: What is served

    @Test func `reflection describes what is served, with all that a file imports`() throws {
        let service = try ReflectionService(services: GRPCServerService.names)
        func ask(_ request: Grpc_Reflection_V1_ServerReflectionRequest.OneOf_MessageRequest?) -> Grpc_Reflection_V1_ServerReflectionResponse
        {
            var question = Grpc_Reflection_V1_ServerReflectionRequest()
            question.messageRequest = request
            return service.answer(question)
        }
        let names = ask(.listServices("*")).listServicesResponse.service.map(\.name)
        #expect(names == ["analytics.AnalyticsQuery", "analytics.Ingest", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"])
        for symbol in names + ["analytics.Ingest.SendStream", "analytics.Point", "grpc.health.v1.HealthCheckResponse.ServingStatus"] {
            #expect(ask(.fileContainingSymbol(symbol)).fileDescriptorResponse.fileDescriptorProto.count == 1, "\(symbol)")
        }
        #expect(ask(.fileByFilename("analytics.proto")).fileDescriptorResponse.fileDescriptorProto.count == 1)
        for nothing in [.fileByFilename("x"), .fileContainingSymbol("analytics.Nothing"), .allExtensionNumbersOfType("analytics.Point")]
            as [Grpc_Reflection_V1_ServerReflectionRequest.OneOf_MessageRequest]
        {
            #expect(ask(nothing).errorResponse.errorCode == 5)
        }
        #expect(ask(nil).errorResponse.errorCode == 3)
    }

    /// What clients have compiled: these numbers stay.
    @Test func `the first fields have their numbers`() throws {
        var series = Analytics_TimeseriesRequest()
        (series.tenantID, series.metric) = ("a", "b")
        #expect(try series.serializedBytes() as [UInt8] == [0x0A, 1, 0x61, 0x12, 1, 0x62])
        var top = Analytics_TopNRequest()
        (top.tenantID, top.metric, top.n) = ("a", "b", 3)
        #expect(try top.serializedBytes() as [UInt8] == [0x0A, 1, 0x61, 0x12, 1, 0x62, 0x18, 3])
        var point = Analytics_Point()
        (point.time, point.value) = ("a", 1)
        var points = Analytics_TimeseriesResponse()
        points.points = [point]
        #expect(try points.serializedBytes() as [UInt8] == [0x0A, 12, 0x0A, 1, 0x61, 0x11, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F])
        var item = Analytics_Item()
        (item.key, item.value) = ("a", 1)
        var items = Analytics_TopNResponse()
        items.items = [item]
        #expect(try items.serializedBytes() as [UInt8] == [0x0A, 12, 0x0A, 1, 0x61, 0x11, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F])
    }
}
