import AnalyticsCore
import Foundation
import Logging
import Testing

@testable import AnalyticsRabbitMQ

@Suite("Fuzzing: what a broker sends", .timeLimit(.minutes(60)))
struct FrameFuzzTests {
    @Test("Frames end the connection, or become deliveries and confirms of what they hold")
    func frames() throws {
        // As the link has it, for tables in tables.
        try onThread(stackSize: Link<ConsumerRole>.stackSize) {
            try Fuzzer("frames").run { input in
                var peer = Peer()
                return try peer.receive(input)
            }
        }
    }

    private func onThread(stackSize: Int, _ body: @escaping @Sendable () throws -> Void) throws {
        nonisolated(unsafe) var result = Result<Void, any Error>.success(())
        let isDone = DispatchSemaphore(value: 0)
        let thread = Thread {
            result = Result(catching: body)
            isDone.signal()
        }
        thread.stackSize = stackSize
        thread.start()
        isDone.wait()
        try result.get()
    }
}

/// The roles that read messages, without a socket.
private struct Peer {
    private let now = ContinuousClock.now
    private let frames = FrameDecoder()
    private var consumer: ConsumerRole
    private var publisher = PublisherRole(topology: TopologyDeclaration(.standard), settings: LinkSettings())
    private var reader: DeadLetterReaderRole

    init() {
        consumer = ConsumerRole(
            topology: TopologyDeclaration(.standard), prefetch: 4, settings: LinkSettings(),
            consumer: QueueConsumer(demand: { _ in }, acknowledge: { _ in }), gauge: ConsumerGauge(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, makeEpoch: { 1 })
        consumer.accept(.consume, now: now)
        reader = DeadLetterReaderRole(
            topology: TopologyDeclaration(.standard), deadline: now + .seconds(10),
            pass: DeadLetterReading(DeadLetterLimit(letters: 2, bytes: 64))
        ) { result in
            guard let page = try? result.get().page.page(hasMore: false) else { return }
            precondition(page.letters.count <= 2 && page.letters.reduce(0) { $0 + $1.body.count } <= 64)
        }
        try? reader.begin(waiting: 3)
        let messages = (0..<4).map { OutgoingMessage(body: [UInt8($0)], events: 1) }
        publisher.accept(.publish(PublishCall(messages: messages, queue: .events, deadline: now + .seconds(10)) { _ in }), now: now)
        var output = FrameWriter()
        _ = try? publisher.advance(now: now, output: &output)
    }

    /// Whether all of it was frames.
    mutating func receive(_ input: [UInt8]) throws -> Bool {
        guard let frames else { throw Wrong("no memory") }
        var bodies = 0
        let isRead = input.withUnsafeBytes { input -> Bool in
            do throws(BrokerError) {
                let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: input.count, alignment: 1)
                defer { copy.deallocate() }
                copy.copyMemory(from: input)
                // Two reads, as the socket may give them.
                let middle = input.count / 3
                for part in [copy[..<middle], copy[middle...]] {
                    try frames.decode(UnsafeMutableRawBufferPointer(rebasing: part)) { (frame) throws(BrokerError) in
                        if case .body(let bytes) = frame { bodies += bytes.count }
                        try handle(frame)
                    }
                }
                return true
            } catch {
                return false
            }
        }
        try Wrong.unless(bodies <= input.count, "more of bodies than there was")
        return isRead
    }

    private mutating func handle(_ frame: Frame) throws(BrokerError) {
        try consumer.receive(frame, now: now)
        try publisher.receive(frame, now: now)
        try reader.receive(frame, now: now)
        var output = FrameWriter()
        for tag in [0, 1, 2, UInt64.max] { consumer.accept(.acknowledge([DeliveryHandle(epoch: 1, tag: tag)]), now: now) }
        _ = try consumer.advance(now: now, output: &output)
        _ = try publisher.advance(now: now, output: &output)
        _ = try reader.advance(now: now, output: &output)
    }
}
