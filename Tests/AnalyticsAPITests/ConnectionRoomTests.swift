import AnalyticsAPI
import AnalyticsCore
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

/// What happens when there are as many connections as there may be.
@Suite(.timeLimit(.minutes(2))) struct ConnectionRoomTests {
    private static let ask = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    private static let event = Sample.event("a")
    private static let post =
        "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(event.utf8.count)\r\n\r\n" + event

    /// Not as the testing client runs it, which leaves out what bounds connections.
    private func serving(_ service: TestService, connections: Int, _ test: @Sendable (Int) async throws -> Void) async throws {
        let (ports, portSink) = AsyncStream<Int>.makeStream()
        var settings = service.settings
        (settings.port, settings.maximumConnections) = (0, connections)
        settings.timeouts = ConnectionTimeouts.Limits(headers: .seconds(60), body: .seconds(60), keepAlive: .seconds(60))
        let application = makeApplication(services: service.services, settings: settings, logger: TestService.quiet) { portSink.yield($0) }
        let group = ServiceGroup(configuration: .init(services: [application], logger: TestService.quiet))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = try #require(await ports.first { _ in true })
            do {
                try await test(port)
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    private func answer(_ port: Int) async throws -> Int? {
        try await RawConnection(port: port).exchange([Self.ask], until: "live\"", limit: .seconds(15)).status
    }

    /// The others connect at the same time, and one of them may take the place of a connection whose request has not been read yet.
    private func answerAtLast(_ port: Int) async -> Int? {
        while !Task.isCancelled {
            if let status = try? await answer(port) { return status }
        }
        return nil
    }

    @Test(arguments: ["", "GET / HT", ask]) func `idle connections make room, whatever they have said`(said: String) async throws {
        try await serving(TestService(), connections: 16) { port in
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<48 {
                    group.addTask { _ = try? await RawConnection(port: port).exchange([said]) }
                }
                for _ in 0..<10 { #expect(await answerAtLast(port) == 200) }
                group.cancelAll()
            }
        }
    }

    @Test func `requests under way are not closed for those who come`() async throws {
        let service = TestService()
        let (gate, opener) = AsyncStream<Void>.makeStream()
        service.publisher.state.withLock { $0.gate = gate }
        try await serving(service, connections: 16) { port in
            try await withThrowingTaskGroup(of: Int?.self) { group in
                for _ in 0..<12 {
                    group.addTask { try await RawConnection(port: port).exchange([Self.post], until: "}").status }
                }
                try await Task.sleep(for: .milliseconds(200))
                for _ in 0..<40 { #expect(try await answer(port) == 200) }
                opener.finish()
                for try await status in group { #expect(status == 202) }
            }
        }
    }

    @Test func `who waits while all are busy is let in when one is idle`() async throws {
        let service = TestService()
        let (gate, opener) = AsyncStream<Void>.makeStream()
        service.publisher.state.withLock { $0.gate = gate }
        try await serving(service, connections: 4) { port in
            try await withThrowingTaskGroup(of: Void.self) { group in
                // They stay open: their clients wait for more than there is.
                for _ in 0..<24 {
                    group.addTask { _ = try await RawConnection(port: port).exchange([Self.post], until: "nothing of the kind") }
                }
                try await Task.sleep(for: .milliseconds(300))
                async let waiting = answerAtLast(port)
                try await Task.sleep(for: .milliseconds(300))
                opener.finish()
                #expect(await waiting == 200)
                group.cancelAll()
            }
        }
    }
}
