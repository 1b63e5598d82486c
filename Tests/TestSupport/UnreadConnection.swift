import Foundation

/// A TCP connection to this machine whose client sends and does not read.
public final class UnreadConnection: Sendable {
    private let socket: Int32

    public struct Failure: Error {
        var step: String
        var code = errno
    }

    /// Its kernel takes hardly more than what it must.
    public init(port: Int) throws {
        socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var small: Int32 = 4096
        setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &small, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard result == 0 else { throw Failure(step: "connect") }
    }

    deinit {
        close(socket)
    }

    /// Returns when the service has taken it.
    public func send(_ text: String) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            // It blocks: not on Swift's pool, which the service may need.
            Thread.detachNewThread { [self] in
                var rest = Array(text.utf8)[...]
                while !rest.isEmpty {
                    let count = rest.withUnsafeBytes { Foundation.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                    guard count > 0 else { return continuation.resume(throwing: Failure(step: "send")) }
                    rest = rest.dropFirst(count)
                }
                continuation.resume()
            }
        }
    }

    /// It may still read.
    public func endSending() {
        shutdown(socket, Int32(SHUT_WR))
    }

    /// Bytes that have come and fit, without waiting for more; `nil` when the connection is at its end.
    public func bytes(_ limit: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = recv(socket, &bytes, limit, Int32(MSG_DONTWAIT))
        if count > 0 { return Array(bytes.prefix(count)) }
        return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? [] : nil
    }

    /// Their number.
    public func read(_ limit: Int) -> Int? { bytes(limit)?.count }
}
