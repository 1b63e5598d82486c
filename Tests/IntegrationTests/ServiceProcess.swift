import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import TestSupport
import Testing

/// The built executable as a process of its own.
final class ServiceProcess: Sendable {
    let port: Int
    private let process: Process
    private let log: URL

    var url: String { "http://127.0.0.1:\(port)" }
    var processID: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    /// The executable lies beside the tests' own bundle.
    static let executable: URL = {
        var folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        if let bundle = ProcessInfo.processInfo.environment["TEST_BINARY_FOLDER"] { folder = URL(fileURLWithPath: bundle) }
        return folder.appending(path: "analytics")
    }()

    /// - Parameter limit: Descriptors that it may have open, and may raise itself to.
    init(
        _ arguments: [String], backends: TestBackends, settings: [String: String] = [:], port: Int? = nil,
        descriptors limit: (soft: Int, hard: Int)? = nil
    ) throws {
        self.port = try port ?? Self.freePort()
        log = backends.directory.appending(path: "log-\(self.port).txt")
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        process = Process()
        process.executableURL = Self.executable
        process.arguments = arguments
        if let limit {
            process.executableURL = URL(filePath: "/bin/sh")
            let raise = "ulimit -S -n \(limit.soft) && ulimit -H -n \(limit.hard) && exec \"$0\" \"$@\""
            process.arguments = ["-c", raise, Self.executable.path()] + arguments
        }
        process.currentDirectoryURL = backends.directory
        process.environment = Self.environment(backends).merging(["PORT": String(self.port)]) { $1 }.merging(settings) { $1 }
        process.standardOutput = try FileHandle(forWritingTo: log)
        process.standardError = process.standardOutput
        try process.run()
    }

    static func environment(_ backends: TestBackends) -> [String: String] {
        ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "", "LOG_LEVEL": "info"].merging(backends.environment) { $1 }
    }

    /// Starts `serve` and waits until it is ready.
    static func serve(
        _ backends: TestBackends, role: String = "all", settings: [String: String] = [:], port: Int? = nil
    ) async throws -> ServiceProcess {
        let service = try ServiceProcess(["serve", "--role", role], backends: backends, settings: settings, port: port)
        try await service.untilReady()
        return service
    }

    func untilReady() async throws {
        try await eventually("the service is ready", within: .seconds(60), log: output) {
            (try? await self.get("/health/ready").status) == 200
        }
    }

    func kill() {
        // The number of one that has ended may be another's by now.
        if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    /// SIGTERM; returns the exit status.
    @discardableResult
    func terminate() -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// Of a process that ends by itself; returns the exit status.
    func waitUntilExit() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    @Sendable func output() -> String {
        (try? String(contentsOf: log, encoding: .utf8)) ?? ""
    }

    // MARK: HTTP

    struct Answer: Sendable {
        var status: UInt
        var headers: [String: String]
        var body: Data

        var json: [String: Any] { (try? JSONSerialization.jsonObject(with: body)) as? [String: Any] ?? [:] }
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    func get(_ path: String, headers: [(String, String)] = []) async throws -> Answer {
        var request = HTTPClientRequest(url: url + path)
        request.headers.add(contentsOf: headers)
        return try await execute(request)
    }

    func post(
        _ path: String, _ body: String, type: String = "application/json", headers: [(String, String)] = []
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: url + path)
        request.method = .POST
        request.headers.add(name: "content-type", value: type)
        request.headers.add(contentsOf: headers)
        request.body = .bytes(ByteBuffer(string: body))
        return try await execute(request)
    }

    private func execute(_ request: HTTPClientRequest) async throws -> Answer {
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(40))
        let body = try await response.body.collect(upTo: 64 << 20)
        let headers = Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }) { first, _ in first }
        return Answer(status: response.status.code, headers: headers, body: Data(buffer: body))
    }

    func total(_ query: String = "") async throws -> Int {
        let answer = try await get("/api/v1/events/counts" + query)
        return try #require(answer.json["total"] as? Int, "\(answer.status) \(answer.text)")
    }

    /// The value of a metric without labels.
    func metric(_ name: String) async throws -> Int {
        let line = try await get("/metrics").text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return try #require(line.flatMap { Double($0.dropFirst(name.count + 1)) }.map { Int($0) }, "\(name)")
    }

    /// A line of `/proc/PID/status`, in KiB.
    func memory(_ name: String) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        return try #require(line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }, "\(name)")
    }

    static func freePort() throws -> Int {
        let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let port = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard bind(socket, address, length) == 0, getsockname(socket, address, &length) == 0 else { return UInt16(0) }
                return UInt16(bigEndian: address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_port })
            }
        }
        return try #require(port == 0 ? nil : Int(port))
    }
}

/// A command that runs to its end.
enum Command {
    struct Result: Sendable {
        var status: Int32
        var output: String
        var errors: String
    }

    /// - Parameter input: The standard input.
    static func run(
        _ executable: String, _ arguments: [String], environment: [String: String]? = nil, directory: URL? = nil, input: String = ""
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            // Waiting for a process blocks: not on Swift's pool.
            Thread.detachNewThread {
                continuation.resume(
                    with: Swift.Result {
                        let process = Process()
                        process.executableURL = URL(fileURLWithPath: executable)
                        process.arguments = arguments
                        process.environment = environment ?? ProcessInfo.processInfo.environment
                        process.currentDirectoryURL = directory
                        let folder = FileManager.default.temporaryDirectory
                        let files = (0..<3).map { _ in folder.appending(path: "analytics-\(UUID().uuidString).txt") }
                        defer {
                            for file in files { try? FileManager.default.removeItem(at: file) }
                        }
                        for file in files { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
                        try Data(input.utf8).write(to: files[2])
                        process.standardInput = try FileHandle(forReadingFrom: files[2])
                        process.standardOutput = try FileHandle(forWritingTo: files[0])
                        process.standardError = try FileHandle(forWritingTo: files[1])
                        try process.run()
                        process.waitUntilExit()
                        return Result(
                            status: process.terminationStatus, output: try String(contentsOf: files[0], encoding: .utf8),
                            errors: try String(contentsOf: files[1], encoding: .utf8))
                    })
            }
        }
    }

    /// The executable under test, on these backends.
    static func analytics(
        _ arguments: [String], _ backends: TestBackends, settings: [String: String] = [:], input: String = ""
    ) async throws -> Result {
        try await run(
            ServiceProcess.executable.path, arguments,
            environment: ServiceProcess.environment(backends).merging(["LOG_LEVEL": "warning"]) { $1 }.merging(settings) { $1 },
            directory: backends.directory, input: input)
    }
}
