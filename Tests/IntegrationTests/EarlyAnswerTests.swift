import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct EarlyAnswerTests {
    /// With requests where `scripts/test.sh` says which Python has it, else with what is in Python's own library.
    @Test("Clients that send all of 30 MB before they read get to read why it is refused")
    func realClients() async throws {
        let service = try await ServiceProcess.serve(try .embedded())
        defer { service.terminate() }
        let python = ProcessInfo.processInfo.environment["TEST_HTTP_PYTHON"] ?? "python3"
        let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(
            path: "HTTP/early_answers.py")
        let result = try await Command.run("/usr/bin/env", [python, script.path(), service.url])
        #expect(result.status == 0, "\(result.output.suffix(4_000)) \(result.errors.suffix(4_000)) \(service.output().suffix(1_000))")
    }
}
