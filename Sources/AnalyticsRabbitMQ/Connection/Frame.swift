import AnalyticsCore
import CRabbitMQ
import Glibc

/// The frames that the broker may send on an established connection, as Swift values.
enum Frame {
    case acknowledged(UInt64, multiple: Bool)
    case refused(UInt64, multiple: Bool)
    /// A content follows, then the acknowledgement of the same message.
    case returned(String)
    /// A content follows.
    case deliver(UInt64)
    case header(ContentHeader)
    /// Valid only while the frame is handled.
    case body(UnsafeRawBufferPointer)
    case blocked(String)
    case unblocked
    case queueDeclared(messages: Int, consumers: Int)
    /// The broker ended the consumer because its queue was deleted.
    case consumerCancelled
    case channelClosed(String)
    case connectionClosed(String)
    case closeConfirmed
    case other
}

struct ContentHeader: Equatable {
    var bodySize: Int
    /// The message-id that ``FrameWriter`` wrote.
    var sequence: UInt64?
    /// x-delivery-count, which quorum queues set on redeliveries.
    var deliveryCount: Int
}

extension Frame {
    /// Throws for a header of a class other than basic, for which librabbitmq decodes another type.
    init(_ frame: amqp_frame_t) throws(BrokerError) {
        switch Int32(frame.frame_type) {
        case AMQP_FRAME_METHOD: self.init(frame.payload.method)
        case AMQP_FRAME_HEADER:
            guard Int32(frame.payload.properties.class_id) == AMQP_BASIC_CLASS, let decoded = frame.payload.properties.decoded else {
                throw FrameDecoder.refused("a header of class \(frame.payload.properties.class_id)")
            }
            let properties = decoded.assumingMemoryBound(to: amqp_basic_properties_t.self).pointee
            self = .header(ContentHeader(properties, bodySize: Int(clamping: frame.payload.properties.body_size)))
        case AMQP_FRAME_BODY: self = .body(UnsafeRawBufferPointer(frame.payload.body_fragment))
        default: self = .other
        }
    }

    private init(_ method: amqp_method_t) {
        switch Int(method.id) {
        case analytics_basic_deliver: self = .deliver(method.as(amqp_basic_deliver_t.self).delivery_tag)
        case analytics_basic_ack:
            let ack = method.as(amqp_basic_ack_t.self)
            self = .acknowledged(ack.delivery_tag, multiple: ack.multiple != 0)
        case analytics_basic_nack:
            let nack = method.as(amqp_basic_nack_t.self)
            self = .refused(nack.delivery_tag, multiple: nack.multiple != 0)
        case analytics_basic_return:
            let returned = method.as(amqp_basic_return_t.self)
            self = .returned("\(returned.reply_code) \(String(returned.reply_text))")
        case analytics_connection_blocked: self = .blocked(String(method.as(amqp_connection_blocked_t.self).reason))
        case analytics_connection_unblocked: self = .unblocked
        case analytics_queue_declare_ok:
            let declared = method.as(amqp_queue_declare_ok_t.self)
            self = .queueDeclared(messages: Int(declared.message_count), consumers: Int(declared.consumer_count))
        case analytics_basic_cancel: self = .consumerCancelled
        case analytics_channel_close: self = .channelClosed(method.closeReason.text)
        case analytics_connection_close: self = .connectionClosed(method.closeReason.text)
        case analytics_connection_close_ok: self = .closeConfirmed
        default: self = .other
        }
    }
}

extension ContentHeader {
    init(_ properties: amqp_basic_properties_t, bodySize: Int) {
        self.bodySize = bodySize
        deliveryCount = 0
        if properties._flags & amqp_flags_t(AMQP_BASIC_MESSAGE_ID_FLAG) != 0 {
            sequence = UInt64(String(properties.message_id))
        }
        guard properties._flags & amqp_flags_t(AMQP_BASIC_HEADERS_FLAG) != 0 else { return }
        for entry in UnsafeBufferPointer(start: properties.headers.entries, count: Int(properties.headers.num_entries))
        where entry.key.equals("x-delivery-count") {
            deliveryCount = max(0, Int(clamping: entry.value.integer))
        }
    }
}

extension amqp_method_t {
    /// Reads `decoded`, whose type the method id determines.
    func `as`<Method>(_ type: Method.Type) -> Method {
        decoded.assumingMemoryBound(to: type).pointee
    }

    /// For connection.close and channel.close, which have the same fields.
    var closeReason: (code: Int, text: String) {
        if Int(id) == analytics_connection_close {
            let close = self.as(amqp_connection_close_t.self)
            return (Int(close.reply_code), String(close.reply_text))
        }
        let close = self.as(amqp_channel_close_t.self)
        return (Int(close.reply_code), String(close.reply_text))
    }
}

extension amqp_field_value_t {
    fileprivate var integer: Int64 {
        switch UInt32(kind) {
        case AMQP_FIELD_KIND_I8.rawValue: Int64(value.i8)
        case AMQP_FIELD_KIND_U8.rawValue: Int64(value.u8)
        case AMQP_FIELD_KIND_I16.rawValue: Int64(value.i16)
        case AMQP_FIELD_KIND_U16.rawValue: Int64(value.u16)
        case AMQP_FIELD_KIND_I32.rawValue: Int64(value.i32)
        case AMQP_FIELD_KIND_U32.rawValue: Int64(value.u32)
        case AMQP_FIELD_KIND_I64.rawValue: value.i64
        case AMQP_FIELD_KIND_U64.rawValue: Int64(clamping: value.u64)
        default: 0
        }
    }
}

extension amqp_bytes_t {
    func equals(_ text: StaticString) -> Bool {
        len == text.utf8CodeUnitCount && memcmp(bytes, text.utf8Start, len) == 0
    }
}

extension UnsafeRawBufferPointer {
    init(_ bytes: amqp_bytes_t) {
        self.init(start: bytes.bytes, count: bytes.len)
    }
}

extension String {
    init(_ bytes: amqp_bytes_t) {
        self.init(decoding: UnsafeRawBufferPointer(bytes), as: UTF8.self)
    }
}
