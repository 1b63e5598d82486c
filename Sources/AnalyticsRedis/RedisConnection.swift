import CHiredis
import Foundation

/// One blocking connection. After an error it must be dropped: after a timeout a late reply may still arrive, and hiredis 0.14 would
/// return it for the next command.
///
/// Unchecked: a `redisContext` is not bound to a thread, but only one may use it at a time. The connection is in the idle list or
/// used by one job.
final class RedisConnection: @unchecked Sendable {
    enum Reply: Sendable, Equatable {
        case bytes([UInt8])
        case null
        case ok
        /// Redis replied with an error; the connection is still usable.
        case refused(String)
    }

    struct Failure: Error {
        var message: String
        /// Redis closed the connection, as it does to idle connections when it restarts.
        var isHangUp = false
    }

    private let context: UnsafeMutablePointer<redisContext>

    /// Connects, sets the timeout of each read and write, authenticates if there is a password, and checks that commands work.
    init(host: String, port: Int, password: String?, connectTimeout: Duration, timeout: Duration) throws {
        guard let context = redisConnectWithTimeout(host, Int32(clamping: port), timeval(connectTimeout)) else {
            throw Failure(message: "out of memory")
        }
        self.context = context
        if context.pointee.err != 0 { throw Failure(message: Self.message(context)) }
        guard redisSetTimeout(context, timeval(timeout)) == REDIS_OK else { throw Failure(message: Self.message(context)) }
        if let password { try greet(["AUTH", password]) }
        try greet(["PING"])
    }

    deinit {
        redisFree(context)
    }

    func command(_ arguments: [[UInt8]]) throws -> Reply {
        let lengths = arguments.map(\.count)
        var flat: [UInt8] = []
        flat.reserveCapacity(lengths.reduce(1, +))
        for argument in arguments { flat += argument }
        flat.append(0)
        let raw = flat.withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                var offset = 0
                var starts: [UnsafePointer<CChar>?] = lengths.map { length in
                    defer { offset += length }
                    return characters.baseAddress.map { $0 + offset }
                }
                return redisCommandArgv(context, Int32(arguments.count), &starts, lengths)
            }
        }
        guard let raw else {
            let systemError = errno
            let code = context.pointee.err
            let isReset = code == REDIS_ERR_IO && [EPIPE, ECONNRESET].contains(systemError)
            throw Failure(message: Self.message(context), isHangUp: code == REDIS_ERR_EOF || isReset)
        }
        defer { freeReplyObject(raw) }
        return try Self.reply(raw.assumingMemoryBound(to: redisReply.self).pointee)
    }

    private func greet(_ arguments: [String]) throws {
        if case .refused(let message) = try command(arguments.map { Array($0.utf8) }) { throw Failure(message: message) }
    }

    private static func reply(_ reply: redisReply) throws -> Reply {
        let bytes = UnsafeRawBufferPointer(start: reply.str, count: reply.str == nil ? 0 : reply.len)
        switch reply.type {
        case REDIS_REPLY_STRING: return .bytes(Array(bytes))
        case REDIS_REPLY_STATUS: return .ok
        case REDIS_REPLY_NIL: return .null
        case REDIS_REPLY_ERROR: return .refused(String(decoding: bytes, as: UTF8.self))
        default: throw Failure(message: "a reply of the unexpected type \(reply.type)")
        }
    }

    private static func message(_ context: UnsafeMutablePointer<redisContext>) -> String {
        withUnsafeBytes(of: &context.pointee.errstr) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

private func timeval(_ duration: Duration) -> timeval {
    let (seconds, attoseconds) = duration.components
    return timeval(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
}
