import AnalyticsCore
import CRabbitMQ
import Glibc

/// Decodes and validates what a broker sends. Owns librabbitmq's connection; for one thread.
///
/// librabbitmq checks that a frame is whole and that its fields lie inside it. This type checks the frames' contents: neither
/// a broker nor an impostor may crash the process. After an error the connection is unusable.
final class FrameDecoder {
    let state: amqp_connection_state_t
    private var content = ContentOrder()

    /// `nil` if memory is exhausted.
    init?() {
        guard let state = amqp_new_connection() else { return nil }
        self.state = state
    }

    deinit {
        amqp_destroy_connection(state)
    }

    /// Passes on the frames that these bytes complete.
    func decode(
        _ bytes: UnsafeMutableRawBufferPointer, _ handle: (Frame) throws(BrokerError) -> Void
    ) throws(BrokerError) {
        var rest = bytes
        while !rest.isEmpty {
            var frame = amqp_frame_t()
            let used = amqp_handle_input(state, amqp_bytes_t(len: rest.count, bytes: rest.baseAddress), &frame)
            guard used > 0 else { throw BrokerError(.unavailable, "reading: \(String(cString: amqp_error_string2(used)))") }
            rest = UnsafeMutableRawBufferPointer(rebasing: rest[Int(used)...])
            guard frame.frame_type != 0 else {
                // Between two frames this means a frame type that librabbitmq skips; it would keep the frame's bytes.
                guard amqp_release_buffers_ok(state) == 0 else { throw Self.refused("a frame of an unknown type") }
                continue
            }
            try pass(frame, to: handle)
            amqp_maybe_release_buffers_on_channel(state, frame.channel)
        }
    }

    /// Passes on what librabbitmq has read ahead during the connection's setup.
    func decodeReadAhead(_ handle: (Frame) throws(BrokerError) -> Void) throws(BrokerError) {
        while true {
            var frame = amqp_frame_t()
            var limit = timeval()
            let status = amqp_simple_wait_frame_noblock(state, &frame, &limit)
            if status == AMQP_STATUS_TIMEOUT.rawValue { return }
            guard status == AMQP_STATUS_OK.rawValue else {
                throw BrokerError(.unavailable, "reading: \(String(cString: amqp_error_string2(status)))")
            }
            try pass(frame, to: handle)
        }
    }

    private func pass(_ frame: amqp_frame_t, to handle: (Frame) throws(BrokerError) -> Void) throws(BrokerError) {
        // librabbitmq keeps a buffer for every channel in a frame.
        guard frame.channel <= FrameWriter.channel else { throw Self.refused("a frame on channel \(frame.channel), which is not open") }
        let decoded = try Frame(frame)
        try content.check(decoded)
        try handle(decoded)
    }

    static func refused(_ what: String) -> BrokerError {
        BrokerError(.unavailable, "the broker has sent \(what)")
    }
}

/// Checks that contents follow AMQP's order: a method that announces one, its header, then bodies of the size in the header
/// (AMQP 0-9-1, 4.2.6).
struct ContentOrder {
    private enum Expected {
        case method
        case header
        /// This number of bytes.
        case body(Int)
    }

    /// More than RabbitMQ accepts, at most 512 MiB (https://www.rabbitmq.com/docs/configure, max_message_size).
    static let maximumBody = 1 << 30

    private var expected = Expected.method

    mutating func check(_ frame: Frame) throws(BrokerError) {
        switch (expected, frame) {
        case (.method, .deliver), (.method, .returned): expected = .header
        case (.header, .header(let header)):
            guard header.bodySize <= Self.maximumBody else {
                throw FrameDecoder.refused("a message of \(header.bodySize) bytes; the limit is \(Self.maximumBody)")
            }
            expected = header.bodySize == 0 ? .method : .body(header.bodySize)
        case (.body(let left), .body(let bytes)):
            guard bytes.count <= left else { throw FrameDecoder.refused("more of a message than its header says") }
            expected = bytes.count == left ? .method : .body(left - bytes.count)
        case (_, .header), (_, .body): throw FrameDecoder.refused("a part of a message without its announcement")
        case (.header, .deliver), (.header, .returned), (.body, .deliver), (.body, .returned):
            throw FrameDecoder.refused("a message in the middle of another")
        default: break
        }
    }
}
