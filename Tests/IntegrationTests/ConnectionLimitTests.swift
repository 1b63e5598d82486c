import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

/// What clients that take all connections cannot keep from others. The service has few descriptors, so that a few clients are enough.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ConnectionLimitTests {
    /// With 300 descriptors there are 150 connections.
    private func service(
        _ settings: [String: String] = [:], descriptors: (soft: Int, hard: Int) = (64, 300)
    ) throws -> ServiceProcess {
        try ServiceProcess(["serve"], backends: try .embedded(), settings: settings, descriptors: descriptors)
    }

    private func ask(_ url: String, within limit: TimeAmount = .seconds(20)) async throws -> UInt {
        var request = HTTPClientRequest(url: url)
        // One of its own each time.
        request.headers.add(name: "connection", value: "close")
        let response = try await HTTPClient.shared.execute(request, timeout: limit)
        _ = try await response.body.collect(upTo: 1 << 20)
        return response.status.code
    }

    /// Ticks of processor time, of 10 ms.
    private func processorTime(_ service: ServiceProcess) throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(service.processID)/stat", encoding: .utf8)
        let fields = text[text.index(after: try #require(text.lastIndex(of: ")")))...].split(separator: " ")
        return try #require(Int(fields[11])) + #require(Int(fields[12]))
    }

    /// Clients that send the beginning of a body.
    private func busy(_ count: Int, _ service: ServiceProcess) async throws -> [UnreadConnection] {
        var connections: [UnreadConnection] = []
        for _ in 0..<count {
            let connection = try UnreadConnection(port: service.port)
            // One that comes when there are nearly too many may be closed before it is read.
            try? await connection.send(
                "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + String(repeating: "x", count: 1_000))
            connections.append(connection)
        }
        return connections
    }

    @Test("The limit of descriptors is raised, and idle clients beyond it lock nobody out")
    func idleClients() async throws {
        let service = try service()
        defer { service.terminate() }
        try await service.untilReady()
        let limits = try String(contentsOfFile: "/proc/\(service.processID)/limits", encoding: .utf8)
        let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max open files") })
        #expect(line.split(separator: " ").dropFirst(3).prefix(2) == ["300", "300"])
        #expect(service.output().contains("RLIMIT_NOFILE"))

        let idle = try (0..<400).map { _ in try UnreadConnection(port: service.port) }
        let before = try processorTime(service)
        for path in ["/health/live", "/health/ready", "/metrics", "/api/v1/events?limit=1"] {
            #expect(try await ask(service.url + path) == 200)
        }
        #expect(try await service.post("/api/v1/events", #"{"type":"t","source":"s","data":1}"#).status == 202)
        try await Task.sleep(for: .seconds(2))
        #expect(try processorTime(service) - before < 100)
        #expect(try await service.metric("http_idle_connections_closed_total") >= 250)
        withExtendedLifetime(idle) {}
    }

    @Test("Clients that keep all connections busy do not reach the listener of operations")
    func busyClients() async throws {
        let port = try ServiceProcess.freePort()
        let service = try service(["OPERATIONS_PORT": String(port)])
        defer { service.terminate() }
        let operations = "http://127.0.0.1:\(port)"
        try await eventually("the service is ready", log: service.output) { (try? await ask(operations + "/health/ready")) == 200 }
        #expect(try await ask(service.url + "/metrics") == 404)

        let busy = try await busy(200, service)
        await #expect(throws: (any Error).self) { try await ask(service.url + "/api/v1/events", within: .seconds(2)) }
        for path in ["/health/live", "/health/ready", "/metrics"] {
            #expect(try await ask(operations + path, within: .seconds(5)) == 200)
        }
        let health = try await Command.analytics(["health"], try .embedded(), settings: ["OPERATIONS_PORT": String(port)])
        #expect(health.status == 0, "\(health)")
        withExtendedLifetime(busy) {}
    }

    @Test("Where the system gives no descriptor, the service waits and does not spin")
    func noDescriptors() async throws {
        let service = try service(descriptors: (1_000, 1_000))
        defer { service.terminate() }
        try await service.untilReady()
        #expect(try await ask(service.url + "/health/live") == 200)
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(service.processID)/fd").count
        let limited = try await Command.run("/usr/bin/env", ["prlimit", "--pid", String(service.processID), "--nofile=\(open + 20):1000"])
        try #require(limited.status == 0, "\(limited)")
        // They are busy, so none can be closed.
        let busy = try await busy(40, service)
        try await Task.sleep(for: .seconds(1))
        let before = try processorTime(service)
        try await Task.sleep(for: .seconds(2))
        #expect(try processorTime(service) - before < 60)
        // Their bodies take too long: they are answered, and others let in.
        try await eventually("others are let in", within: .seconds(60), log: service.output) {
            (try? await ask(service.url + "/health/live", within: .seconds(10))) == 200
        }
        withExtendedLifetime(busy) {}
    }

    @Test("A host of operations without a port is refused")
    func hostAlone() async throws {
        let result = try await Command.analytics(["serve"], try .embedded(), settings: ["OPERATIONS_HOST": "127.0.0.1"])
        #expect(result.status != 0 && result.errors.contains("OPERATIONS_PORT"), "\(result)")
    }
}
