import AnalyticsCore
import Foundation
import Logging
import Synchronization
import Testing

@testable import AnalyticsRabbitMQ

/// Frames as a broker sends them, or should not (AMQP 0-9-1, 2.3.5).
private enum Bytes {
    static func big<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
    static func short(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + text.utf8 }
    static func long(_ bytes: [UInt8]) -> [UInt8] { big(UInt32(bytes.count)) + bytes }

    static func frame(_ type: UInt8, channel: UInt16 = 1, _ payload: [UInt8]) -> [UInt8] {
        [type] + big(channel) + big(UInt32(payload.count)) + payload + [0xCE]
    }

    static let deliver = frame(1, big(UInt16(60)) + big(UInt16(60)) + short("c") + big(UInt64(1)) + [0] + short("e") + short("k"))
    static let returned = frame(1, big(UInt16(60)) + big(UInt16(50)) + big(UInt16(312)) + short("NO_ROUTE") + short("e") + short("k"))

    static func header(size: UInt64, class classID: UInt16 = 60, flags: UInt16 = 0, _ properties: [UInt8] = []) -> [UInt8] {
        frame(2, big(classID) + big(UInt16(0)) + big(size) + big(flags) + properties)
    }

    /// With one entry in the headers.
    static func header(size: UInt64, _ name: String, _ value: [UInt8]) -> [UInt8] {
        header(size: size, flags: 0x2000, long(short(name) + value))
    }

    static func body(_ bytes: [UInt8]) -> [UInt8] { frame(3, bytes) }
}

@Suite("RabbitMQ: taking frames apart")
struct RabbitMQFrameDecoderTests {
    /// What came of bytes: a line for each frame, and the error that ended them.
    private func decode(_ bytes: [UInt8], inPiecesOf size: Int = .max) throws -> (frames: [String], error: String?) {
        let decoder = try #require(FrameDecoder())
        var frames: [String] = []
        var bytes = bytes
        return bytes.withUnsafeMutableBytes { bytes in
            do throws(BrokerError) {
                for start in stride(from: 0, to: bytes.count, by: min(size, bytes.count)) {
                    let end = start + min(size, bytes.count - start)
                    try decoder.decode(UnsafeMutableRawBufferPointer(rebasing: bytes[start..<end])) { frame in
                        if case .body(let bytes) = frame { frames.append("body \(Array(bytes))") } else { frames.append("\(frame)") }
                    }
                }
                return (frames, nil)
            } catch {
                return (frames, error.message)
            }
        }
    }

    @Test("A delivery comes as its method, its header and its bodies, however it was cut on its way", arguments: [1, 2, 7, 8, 50, .max])
    func delivery(size: Int) throws {
        let count = Bytes.header(size: 3, "x-delivery-count", [UInt8(ascii: "l")] + Bytes.big(Int64(3)))
        let (frames, error) = try decode(Bytes.deliver + count + Bytes.body([1, 2]) + Bytes.body([3]), inPiecesOf: size)
        #expect(error == nil)
        #expect(frames.first == "deliver(1)" && frames.suffix(2) == ["body [1, 2]", "body [3]"])
        #expect(frames[1].contains("bodySize: 3") && frames[1].contains("deliveryCount: 3"))
    }

    @Test("A message without a body, a returned one, and heartbeats between their frames are as they should be")
    func others() throws {
        let beat = Bytes.frame(8, channel: 0, [])
        let (frames, error) = try decode(
            Bytes.deliver + beat + Bytes.header(size: 0) + Bytes.returned + Bytes.header(size: 1) + beat + Bytes.body([9]) + beat)
        #expect(error == nil && frames.count == 8)
    }

    @Test(
        "A header of another class is refused: librabbitmq has decoded something else", arguments: [10, 20, 40, 50, 85, 90] as [UInt16])
    func otherClasses(classID: UInt16) throws {
        let (frames, error) = try decode(Bytes.deliver + Bytes.header(size: 1, class: classID, flags: 0x3080))
        #expect(frames == ["deliver(1)"] && error?.contains("a header of class \(classID)") == true)
    }

    @Test(
        "A message that is larger than any of ours is refused by its header",
        arguments: [1 << 30 + 1, 1 << 40, UInt64(Int64.max), .max] as [UInt64])
    func tooLarge(size: UInt64) throws {
        #expect(try decode(Bytes.deliver + Bytes.header(size: size)).error?.contains("the limit is \(1 << 30)") == true)
        #expect(try decode(Bytes.deliver + Bytes.header(size: 1 << 30)).error == nil)
    }

    @Test("A body that is longer than its header says is refused")
    func tooMuch() throws {
        #expect(try decode(Bytes.deliver + Bytes.header(size: 2) + Bytes.body([1, 2, 3])).error?.contains("more of a message") == true)
        #expect(try decode(Bytes.deliver + Bytes.header(size: 2) + Bytes.body([1]) + Bytes.body([2, 3])).error != nil)
        #expect(try decode(Bytes.deliver + Bytes.header(size: 1) + Bytes.body([1]) + Bytes.body([])).error != nil)
    }

    @Test("Parts of a message that nothing has announced are refused")
    func outOfOrder() throws {
        for bytes in [
            Bytes.header(size: 1), Bytes.body([1]), Bytes.deliver + Bytes.body([1]),
            Bytes.deliver + Bytes.header(size: 0) + Bytes.body([1]),
            Bytes.deliver + Bytes.header(size: 1) + Bytes.header(size: 1), Bytes.deliver + Bytes.deliver,
            Bytes.deliver + Bytes.header(size: 1) + Bytes.deliver, Bytes.deliver + Bytes.returned,
        ] {
            #expect(try decode(bytes).error?.contains("the broker has sent") == true)
        }
    }

    @Test("Frames of channels that are not open, and of unknown types, are refused: they would be kept")
    func memory() throws {
        #expect(try decode(Bytes.frame(3, channel: 2, [1])).error?.contains("channel 2") == true)
        #expect(try decode(Bytes.frame(9, [1])).error?.contains("unknown type") == true)
        #expect(try decode(Bytes.frame(9, [1]), inPiecesOf: 3).error?.contains("unknown type") == true)
    }

    @Test("A count of deliveries is held to what a count can be", arguments: [Int64.min, -1, 0, 7, .max])
    func deliveryCounts(count: Int64) async throws {
        let consumer = QueueConsumer(demand: { _ in }, acknowledge: { _ in })
        var role = ConsumerRole(
            topology: TopologyDeclaration(.standard), prefetch: 1, settings: LinkSettings(), consumer: consumer, gauge: ConsumerGauge(),
            logger: Logger(label: "test"), makeEpoch: { 1 })
        role.accept(.consume, now: .now)
        var output = FrameWriter()
        _ = try role.advance(now: .now, output: &output)
        let decoder = try #require(FrameDecoder())
        var bytes = Bytes.deliver + Bytes.header(size: 1, "x-delivery-count", [UInt8(ascii: "l")] + Bytes.big(count)) + Bytes.body([1])
        try bytes.withUnsafeMutableBytes { bytes in
            try decoder.decode(bytes) { (frame) throws(BrokerError) in try role.receive(frame, now: .now) }
        }
        let redeliveries = Atomic(-1)
        try await consumer.forEachSession { session in
            for await delivery in session {
                redeliveries.store(delivery.redeliveries, ordering: .relaxed)
                break
            }
        }
        #expect(redeliveries.load(ordering: .relaxed) == Int(min(max(0, count), 1_000_000)))
    }

    @Test("A returned message that does not say which it is ends the connection: its ack would confirm it")
    func returnedWithoutNumber() throws {
        var role = PublisherRole(topology: TopologyDeclaration(.standard), settings: LinkSettings())
        try role.receive(.returned("312 NO_ROUTE"), now: .now)
        #expect(throws: BrokerError.self) {
            try role.receive(.header(ContentHeader(bodySize: 1, sequence: nil, deliveryCount: 0)), now: .now)
        }
    }

    @Test("Tables in tables, as deep as a frame can hold them, are read on the stack that a link's thread has")
    func nestedTables() async throws {
        let depth = 10_600
        let tables = (1...depth).flatMap { level in
            Bytes.big(UInt32((depth - level) * 6)) + (level < depth ? [0, UInt8(ascii: "F")] : [])
        }
        let bytes = Bytes.deliver + Bytes.header(size: 0, flags: 0x2000, tables)
        let link = try await onLinkThread { [self] in (size: Thread.current.stackSize, frames: try? decode(bytes).frames.count) }
        #expect(link.frames == 2)
        // 26,000 levels, which a frame of 128 KiB holds, take 4 MiB.
        #expect(link.size >= 16 << 20)
    }

    private func onLinkThread<R: Sendable>(_ body: @escaping @Sendable () -> R) async throws -> R {
        let (stream, continuation) = AsyncStream.makeStream(of: R.self)
        let link = Link(
            name: "test", address: try BrokerAddress(url: "amqp://127.0.0.1:1"), settings: LinkSettings(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) {
            continuation.yield(body())
            continuation.finish()
            return InspectorRole(topology: TopologyDeclaration(.standard))
        }
        link.stop()
        await link.finished()
        return try #require(await stream.first { _ in true })
    }
}
