import AnalyticsCore

/// Encodes the frames that an established connection sends, and buffers them until the socket accepts them.
///
/// librabbitmq's `amqp_basic_publish` makes three system calls per message. On a full socket, which an alarm on the broker causes, it
/// waits without limit. So the adapter writes these few frames itself, many at once, and never waits.
/// Layout: https://www.rabbitmq.com/amqp-0-9-1-protocol (2.3.5 frame details; 4.2 grammar).
struct FrameWriter {
    /// The only channel of a connection.
    static let channel: UInt16 = 1

    private var bytes: [UInt8] = []
    private var taken = 0

    var count: Int { bytes.count - taken }
    var isEmpty: Bool { count == 0 }

    /// The bytes that are not sent yet.
    func withPending<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[taken...])) }
    }

    /// Removes sent bytes.
    mutating func drop(_ count: Int) {
        taken += count
        if taken == bytes.count {
            bytes.removeAll(keepingCapacity: true)
            taken = 0
        } else if taken > bytes.count / 2 {
            bytes.removeFirst(taken)
            taken = 0
        }
    }
}

extension FrameWriter {
    /// basic.publish, mandatory, of a persistent message. `sequence` becomes the message-id, because a return has no other identification.
    mutating func publish(_ message: OutgoingMessage, sequence: UInt64, exchange: String, routingKey: String, frameSize: Int) {
        method(classID: 60, methodID: 40) { writer in
            writer.append(UInt16(0))
            writer.append(shortText: exchange)
            writer.append(shortText: routingKey)
            writer.append(UInt8(1))
        }
        frame(type: 2, channel: Self.channel) { writer in
            writer.append(UInt16(60))
            writer.append(UInt16(0))
            writer.append(UInt64(message.body.count))
            // Bits 13, 12 and 7: headers, delivery-mode, message-id.
            writer.append(UInt16(0b0011_0000_1000_0000))
            writer.append(UInt32(12))
            writer.append(shortText: "events")
            writer.append(UInt8(ascii: "I"))
            writer.append(UInt32(clamping: message.events))
            writer.append(UInt8(2))
            writer.append(shortText: String(sequence))
        }
        let payload = frameSize - 8
        for start in stride(from: 0, to: message.body.count, by: payload) {
            frame(type: 3, channel: Self.channel) { writer in
                writer.bytes.append(contentsOf: message.body[start..<min(start + payload, message.body.count)])
            }
        }
    }

    /// basic.qos and basic.consume. `prefetch` 0 means no limit.
    mutating func consume(queue: String, prefetch: UInt16) {
        method(classID: 60, methodID: 10) { writer in
            writer.append(UInt32(0))
            writer.append(prefetch)
            writer.append(UInt8(0))
        }
        method(classID: 60, methodID: 20) { writer in
            writer.append(UInt16(0))
            writer.append(shortText: queue)
            writer.append(shortText: "")
            writer.append(UInt8(0))
            writer.append(UInt32(0))
        }
    }

    mutating func acknowledge(_ tag: UInt64, multiple: Bool) {
        method(classID: 60, methodID: 80) { writer in
            writer.append(tag)
            writer.append(UInt8(multiple ? 1 : 0))
        }
    }

    /// basic.reject without requeue: the message goes unchanged to the queue's dead-letter exchange.
    mutating func reject(_ tag: UInt64) {
        method(classID: 60, methodID: 90) { writer in
            writer.append(tag)
            writer.append(UInt8(0))
        }
    }

    /// queue.declare, passive: reads the number of messages and creates nothing.
    mutating func inspect(queue: String) {
        method(classID: 50, methodID: 10) { writer in
            writer.append(UInt16(0))
            writer.append(shortText: queue)
            writer.append(UInt8(1))
            writer.append(UInt32(0))
        }
    }

    mutating func closeConnection() {
        method(classID: 10, methodID: 50, channel: 0) { writer in
            writer.append(UInt16(200))
            writer.append(shortText: "goodbye")
            writer.append(UInt32(0))
        }
    }

    mutating func heartbeat() {
        frame(type: 8, channel: 0) { _ in }
    }

    private mutating func method(
        classID: UInt16, methodID: UInt16, channel: UInt16 = Self.channel, _ arguments: (inout FrameWriter) -> Void
    ) {
        frame(type: 1, channel: channel) { writer in
            writer.append(classID)
            writer.append(methodID)
            arguments(&writer)
        }
    }

    private mutating func frame(type: UInt8, channel: UInt16, _ payload: (inout FrameWriter) -> Void) {
        append(type)
        append(channel)
        let sizeAt = bytes.count
        append(UInt32(0))
        payload(&self)
        let size = UInt32(bytes.count - sizeAt - 4)
        withUnsafeBytes(of: size.bigEndian) { bytes.replaceSubrange(sizeAt..<sizeAt + 4, with: $0) }
        append(UInt8(0xCE))
    }

    private mutating func append<Integer: FixedWidthInteger>(_ value: Integer) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// At most 255 bytes, which ``RabbitMQBroker`` ensures.
    private mutating func append(shortText: String) {
        append(UInt8(clamping: shortText.utf8.count))
        bytes.append(contentsOf: shortText.utf8.prefix(255))
    }
}
