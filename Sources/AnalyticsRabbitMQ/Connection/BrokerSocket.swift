import AnalyticsCore
import CRabbitMQ
import Glibc

/// The socket of a connection, with or without TLS. librabbitmq connects it. Afterwards it is read and written here, without waiting.
struct BrokerSocket {
    private let descriptor: Int32
    private let tls: TLSSession?

    /// Connects, with the TLS handshake if there is one, within `timeout`.
    init(to address: BrokerAddress, on connection: amqp_connection_state_t, within timeout: Duration) throws(BrokerError) {
        let status: Int32
        if let options = address.tls {
            let tls = try TLSSession(options, host: address.host, on: connection)
            status = tls.open(address.host, address.port, within: timeout)
            self.tls = tls
        } else {
            guard let socket = amqp_tcp_socket_new(connection) else { throw BrokerError(.unavailable, "out of memory") }
            var limit = timeval(timeout)
            status = amqp_socket_open_noblock(socket, address.host, Int32(address.port), &limit)
            tls = nil
        }
        descriptor = amqp_get_sockfd(connection)
        guard status == AMQP_STATUS_OK.rawValue else {
            throw BrokerError(.unavailable, "connecting to \(address.host):\(address.port): \(description(of: status))")
        }
    }

    /// A status of librabbitmq, with the reason of TLS if that failed.
    func description(of status: Int32) -> String {
        let text = String(cString: amqp_error_string2(status))
        return tls?.reason.map { "\(text): \($0)" } ?? text
    }

    /// As recv(2).
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        tls?.read(into: buffer) ?? recv(descriptor, buffer.baseAddress, buffer.count, 0)
    }

    /// As send(2). After EAGAIN the next call must begin with the same bytes.
    func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        tls?.write(bytes) ?? send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Waits until there may be something to read (or to write, if there is output), `wakeUp` is readable, or `milliseconds` have passed.
    func wait(hasOutput: Bool, wakeUp: Int32, milliseconds: Int32) {
        let events = tls?.events(hasOutput: hasOutput) ?? Int16(hasOutput ? POLLIN | POLLOUT : POLLIN)
        var descriptors = [
            pollfd(fd: descriptor, events: events, revents: 0),
            pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0),
        ]
        // An interrupted wait is treated like a spurious wake-up.
        _ = poll(&descriptors, 2, tls?.hasMore == true ? 0 : milliseconds)
    }
}
