import Foundation
import TestSupport
import Testing

private let grpcPython = ProcessInfo.processInfo.environment["TEST_GRPC_PYTHON"]

/// With Python's gRPC and messages that it makes from protos/ itself: `scripts/test.sh` says which Python has it.
@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: grpcPython != nil))
struct GRPCTests {
    @Test("Answers are those of HTTP, errors too, and events get in", arguments: TestServices.areThere ? [false, true] : [false])
    func check(isReal: Bool) async throws {
        let backends = try await isReal ? TestBackends.real() : TestBackends.embedded()
        let port = try ServiceProcess.freePort()
        let service = try await ServiceProcess.serve(backends, settings: ["GRPC_PORT": String(port)])
        defer { service.terminate() }
        let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "GRPC/check.py")
        let result = try await Command.run(
            try #require(grpcPython), [script.path(), "--http", service.url, "--grpc", "127.0.0.1:\(port)"], directory: backends.directory)
        #expect(result.status == 0, "\(result.output.suffix(4_000)) \(result.errors.suffix(4_000)) \(service.output().suffix(1_000))")
    }

    @Test("Without GRPC_PORT nothing of it is there, and a shutdown ends a watched health")
    func offAndShutdown() async throws {
        let backends = try TestBackends.embedded()
        let off = try await ServiceProcess.serve(backends)
        #expect(off.terminate() == 0 && !off.output().contains("gRPC"))
        let port = try ServiceProcess.freePort()
        let service = try await ServiceProcess.serve(backends, settings: ["GRPC_PORT": String(port)])
        let watching = """
            import sys, grpc
            sys.path.insert(0, sys.argv[2])
            grpc.__path__.append(sys.argv[2] + "/grpc")
            messages, services = grpc.protos_and_services("grpc/health/v1/health.proto")
            channel = grpc.insecure_channel(sys.argv[1], options=[("grpc.enable_http_proxy", 0)])
            for state in services.HealthStub(channel).Watch(messages.HealthCheckRequest(), timeout=240):
                print(state.status, flush=True)
                open(sys.argv[3], "w").close()
            """
        let protos = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "protos")
        let python = try #require(grpcPython)
        let mark = backends.directory.appending(path: "watched")
        let watch = Task {
            try await Command.run(python, ["-c", watching, "127.0.0.1:\(port)", protos.path(), mark.path], directory: backends.directory)
        }
        try await eventually("health is watched", within: .seconds(120), log: service.output) {
            FileManager.default.fileExists(atPath: mark.path)
        }
        // One that says nothing does not hold it up either.
        let silent = try UnreadConnection(port: port)
        let start = ContinuousClock.now
        #expect(service.terminate() == 0)
        // After 20 s the group cuts what has not ended.
        #expect(ContinuousClock.now - start < .seconds(18))
        withExtendedLifetime(silent) {}
        #expect(try await watch.value.output == "1\n")

    }
}
