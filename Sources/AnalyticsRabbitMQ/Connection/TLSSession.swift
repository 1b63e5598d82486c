import AnalyticsCore
import CRabbitMQ
import CRabbitMQTLS
import Glibc

/// The TLS of one connection. Used only by the thread that created it.
final class TLSSession {
    private let session: OpaquePointer

    /// Gives librabbitmq's connection a socket with TLS. Reads the files, so renewed ones count from the next connection on.
    init(_ tls: BrokerTLS, host: String, on connection: amqp_connection_state_t) throws(BrokerError) {
        guard let session = crabbitmq_tls_new(UnsafeMutableRawPointer(connection), tls.serverName ?? host, tls.isVerified) else {
            throw BrokerError(.unavailable, "out of memory")
        }
        self.session = session
        for (name, file) in [("cacertfile", tls.authorities), ("certfile", tls.certificate), ("keyfile", tls.key)] {
            guard let file, access(file, R_OK) != 0 else { continue }
            throw BrokerAddress.refused("\(name)=\(file) cannot be read: \(String(cString: strerror(errno)))")
        }
        guard crabbitmq_tls_trust(session, tls.authorities) else {
            throw BrokerAddress.refused("cacertfile=\(tls.authorities ?? "") has no certificates in PEM format")
        }
        guard let certificate = tls.certificate, let key = tls.key else { return }
        guard crabbitmq_tls_identify(session, certificate, key) else {
            throw BrokerAddress.refused(
                "certfile=\(certificate) and keyfile=\(key) are not a certificate and its key, in PEM format and without a password")
        }
    }

    deinit {
        crabbitmq_tls_free(session)
    }

    /// Throws if the files of the address cannot be used.
    static func check(_ address: BrokerAddress) throws(BrokerError) {
        guard let tls = address.tls, let frames = FrameDecoder() else { return }
        defer { withExtendedLifetime(frames) {} }
        _ = try TLSSession(tls, host: address.host, on: frames.state)
    }

    /// Connects and performs the handshake. Returns librabbitmq's status.
    func open(_ host: String, _ port: Int, within timeout: Duration) -> Int32 {
        var limit = timeval(timeout)
        return crabbitmq_tls_open(session, host, Int32(port), &limit)
    }

    /// Why the last call failed, also one of librabbitmq's; `nil` if TLS was not the reason.
    var reason: String? { crabbitmq_tls_reason(session).map { String(cString: $0) } }

    /// As `recv`. Fills the buffer if there is enough: a single record has at most 16 KiB.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var total = 0
        while total < buffer.count {
            let count = crabbitmq_tls_read(session, buffer.baseAddress?.advanced(by: total), buffer.count - total)
            // After some bytes, the next call reports the end: ``hasMore``.
            guard count > 0 else { return total > 0 ? total : count }
            total += count
        }
        return total
    }

    /// As `send`. After EAGAIN the next call must begin with the same bytes.
    func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        crabbitmq_tls_write(session, bytes.baseAddress, bytes.count)
    }

    /// Whether a read returns something although the socket may have nothing to read: OpenSSL holds the rest of a record.
    var hasMore: Bool { crabbitmq_tls_has_more(session) }

    /// What to poll the socket for.
    func events(hasOutput: Bool) -> Int16 { crabbitmq_tls_events(session, hasOutput) }
}
