import Foundation
import TestSupport
import Testing

/// One store for each queue, and one process that serves from a folder.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct FencingTests {
    private static let event = "/api/v1/events?wait=stored&timeout=20"

    // MARK: A folder

    @Test(
        "A second serve on one folder ends with one line that names DATA_DIR, whichever backends are embedded; after kill -9 it starts",
        arguments: [[], ["RABBITMQ_URL"], ["MONGODB_URI"]])
    func oneFolder(_ shared: [String]) async throws {
        guard shared.isEmpty || TestServices.areThere else { return }
        let backends = try await Self.backends(shared)
        let first = try await ServiceProcess.serve(backends)
        defer { first.terminate() }
        try await Self.expectRefused(backends, ["DATA_DIR=\(backends.directory.path)", "end that one"])
        _ = try await first.post(Self.event, #"{"id":"a","type":"a","source":"s","data":1}"#)
        try await PipelineTests.expectReconciled(backends, events: 1)
        let retention = try await Command.analytics(["retention"], backends)
        #expect(retention.status == 0 && retention.output.contains("project default"), "\(retention.output) \(retention.errors)")
        first.kill()
        let next = try await ServiceProcess.serve(backends)
        #expect(try await next.total() == 1)
        #expect(next.terminate() == 0)
    }

    @Test("A folder that no embedded backend uses is shared", .enabled(if: TestServices.areThere))
    func sharedFolder() async throws {
        let backends = try await Self.backends(["RABBITMQ_URL", "MONGODB_URI"])
        let first = try await ServiceProcess.serve(backends)
        defer { first.terminate() }
        let second = try await ServiceProcess.serve(backends, role: "processor")
        defer { second.terminate() }
        _ = try await first.post(Self.event, #"{"id":"a","type":"a","source":"s","data":1}"#)
        try await eventually("both consume", log: second.output) { try await Self.consumers(of: backends) == 2 }
    }

    // MARK: A queue

    /// Which store the first process has, and which the second one.
    private static let pairs: [([String], [String])] = [
        ([], []), ([], ["MONGODB_URI"]), (["MONGODB_URI"], []), (["MONGODB_URI"], ["MONGODB_URI"]),
    ]

    @Test(
        "A second store behind one queue ends with one line that names RABBITMQ_URL, and all events are in the first one",
        .enabled(if: TestServices.areThere), arguments: pairs)
    func oneStore(_ kinds: ([String], [String])) async throws {
        let backends = try await Self.backends(["RABBITMQ_URL"] + kinds.0)
        let other = try await Self.backends(kinds.1, on: backends)
        let owner = try await ServiceProcess.serve(backends)
        defer { owner.terminate() }
        try await eventually("it consumes", log: owner.output) { try await Self.consumers(of: backends) == 1 }
        try await Self.expectRefused(other, ["RABBITMQ_URL", "another store", "end them"])
        for id in 0..<20 {
            let answer = try await owner.post(Self.event, #"{"id":"\#(id)","type":"a","source":"s","data":1}"#)
            #expect(answer.status == 200, "\(answer.text)")
        }
        try await PipelineTests.expectReconciled(backends, events: 20)
    }

    @Test(
        "The owner can come back after SIGTERM and kill -9, and another store only when the queue is empty",
        .enabled(if: TestServices.areThere))
    func handsOver() async throws {
        let backends = try await Self.backends(["RABBITMQ_URL"])
        let other = try await Self.backends([], on: backends)
        for stop in [{ @Sendable (owner: ServiceProcess) in owner.kill() }, { owner in owner.terminate() }] {
            let owner = try await ServiceProcess.serve(backends)
            try await eventually("it consumes", log: owner.output) { try await Self.consumers(of: backends) == 1 }
            stop(owner)
        }
        // What an API has accepted for the store that is away.
        let api = try await ServiceProcess.serve(try await Self.backends(["MONGODB_URI"], on: backends), role: "api")
        #expect(try await api.post("/api/v1/events", #"{"id":"a","type":"a","source":"s","data":1}"#).status == 202)
        try await Self.expectRefused(other, ["RABBITMQ_URL", "another store", "analytics.owner"])

        let owner = try await ServiceProcess.serve(backends)
        try await eventually("it is stored", log: owner.output) { try await owner.total() == 1 }
        // Readers and publishers run beside it.
        #expect(try await api.get("/health/ready").status == 200)
        #expect(owner.terminate() == 0)
        api.terminate()

        let successor = try await ServiceProcess.serve(other)
        defer { successor.terminate() }
        #expect(try await successor.post(Self.event, #"{"id":"b","type":"a","source":"s","data":1}"#).status == 200)
        #expect(successor.output().contains("belonged to another store"), "\(successor.output())")
        try await Self.expectRefused(backends, ["RABBITMQ_URL", "another store", "end them"])
    }

    @Test("The owner survives lost connections, and goes on consuming", .enabled(if: TestServices.areThere))
    func survivesLostConnections() async throws {
        let backends = try await Self.backends(["RABBITMQ_URL"])
        let owner = try await ServiceProcess.serve(backends)
        defer { owner.terminate() }
        for round in 1...3 {
            try await eventually("it consumes", log: owner.output) { try await Self.consumers(of: backends) == 1 }
            try await Self.rabbit("close_all_connections", "--vhost", Self.virtualHost(backends), "test")
            try await eventually("an event is stored", log: owner.output) {
                let answer = try await owner.post(Self.event, #"{"id":"\#(round)","type":"a","source":"s","data":1}"#)
                return answer.status == 200
            }
        }
        try await PipelineTests.expectReconciled(backends, events: 3)
    }

    // MARK: Support

    /// Backends with these settings shared and the others embedded, on a virtual host and a database of their own.
    private static func backends(_ shared: [String]) async throws -> TestBackends {
        guard !shared.isEmpty else { return try .embedded() }
        let real = try await TestBackends.real()
        return TestBackends(
            environment: real.environment.filter { $0.key == "DATA_DIR" || shared.contains($0.key) }, directory: real.directory)
    }

    /// Another store, on the virtual host of others.
    private static func backends(_ shared: [String], on others: TestBackends) async throws -> TestBackends {
        var backends = try await backends(shared)
        backends.environment["RABBITMQ_URL"] = others.environment["RABBITMQ_URL"]
        return backends
    }

    /// Starts `serve`, which is to end with one line that has all of these words.
    private static func expectRefused(_ backends: TestBackends, _ words: [String]) async throws {
        let process = try ServiceProcess(["serve"], backends: backends, settings: ["LOG_LEVEL": "warning"])
        defer { process.kill() }
        try await eventually("it ends", within: .seconds(60), log: process.output) { !process.isRunning }
        #expect(process.waitUntilExit() == 1)
        let lines = process.output().split(separator: "\n")
        #expect(lines.count == 1, "\(process.output())")
        for word in words { #expect(lines.first?.contains(word) == true, "\(process.output())") }
    }

    private static func virtualHost(_ backends: TestBackends) -> String {
        String(URLComponents(string: backends.environment["RABBITMQ_URL"] ?? "")?.path.dropFirst() ?? "")
    }

    private static func consumers(of backends: TestBackends) async throws -> Int? {
        let queues = try await rabbit("list_queues", "-q", "--vhost", virtualHost(backends), "name", "consumers")
        let line = queues.split(separator: "\n").first { $0.hasPrefix("analytics.events\t") }
        return line.flatMap { $0.split(separator: "\t").last }.flatMap { Int($0) }
    }

    @discardableResult
    private static func rabbit(_ arguments: String...) async throws -> String {
        let script = try #require(ProcessInfo.processInfo.environment["TEST_STACK_SCRIPT"])
        let result = try await Command.run(script, ["rabbitmqctl"] + arguments)
        guard result.status == 0 else { throw CommandFailed(description: result.output + result.errors) }
        return result.output
    }
}
