import Foundation
import Glibc
import TestSupport
import Testing

/// A real redis-server of a test's own, to be killed, stopped and started again.
final class RedisServer {
    static let executable = "/usr/bin/redis-server"
    static let isInstalled = FileManager.default.isExecutableFile(atPath: executable)

    let port: Int
    private let arguments: [String]
    private var process: Process?

    init(arguments: [String] = []) async throws {
        // hiredis writes to connections whose other end is gone.
        signal(SIGPIPE, SIG_IGN)
        port = try Self.freePort()
        self.arguments = arguments
        try await start()
    }

    deinit {
        send(SIGCONT)
        send(SIGKILL)
    }

    func start() async throws {
        let process = Process()
        process.executableURL = URL(filePath: Self.executable)
        process.arguments = ["--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"] + arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process = process
        try await eventually("redis-server listens") { Self.accepts(port) }
    }

    func kill() {
        send(SIGKILL)
        process?.waitUntilExit()
        process = nil
    }

    func pause() { send(SIGSTOP) }
    func resume() { send(SIGCONT) }

    private func send(_ number: Int32) {
        if let process, process.isRunning { Glibc.kill(process.processIdentifier, number) }
    }

    private static func accepts(_ port: Int) -> Bool {
        withSocket(port) { connect($0, $1, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
    }

    private static func freePort() throws -> Int {
        var port = 0
        _ = withSocket(0) { descriptor, address in
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            guard bind(descriptor, address, length) == 0, getsockname(descriptor, address, &length) == 0 else { return false }
            port = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { Int(UInt16(bigEndian: $0.pointee.sin_port)) }
            return true
        }
        guard port > 0 else { throw POSIXError(.EADDRNOTAVAIL) }
        return port
    }

    private static func withSocket(_ port: Int, _ body: (Int32, UnsafeMutablePointer<sockaddr>) -> Bool) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(descriptor, $0) }
        }
    }
}
