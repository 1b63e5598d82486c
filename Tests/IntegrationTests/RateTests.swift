import Foundation
import TestSupport
import Testing

/// Rates over several API processes.
@Suite(.serialized, .enabled(if: TestServices.areThere), .timeLimit(.minutes(5)))
struct RateTests {
    private static let rate = 20

    /// Commands before the service: their changes are in force when it starts.
    private static func command(_ arguments: String..., on backends: TestBackends) async throws -> String {
        let result = try await Command.analytics(arguments, backends)
        try #require(result.status == 0, "\(result.output) \(result.errors)")
        return String(result.output.split(separator: "\n").first ?? "")
    }

    private struct Flood {
        var allowed = 0
        var refused = 0
        var others: [String] = []
        var seconds = 0.0

        /// What one bucket gives in that time: what comes, what it held, and what is used a little after it was leased.
        var most: Double { Double(RateTests.rate) * (seconds + 0.1) + Double(RateTests.rate) + 1 }
    }

    /// Asks each service as often as it answers, for two seconds.
    private static func flood(_ services: [ServiceProcess], key: String) async throws -> Flood {
        let start = ContinuousClock.now
        var flood = try await withThrowingTaskGroup(of: Flood.self) { group in
            for service in services {
                for _ in 0..<2 {
                    group.addTask {
                        var flood = Flood()
                        while ContinuousClock.now - start < .seconds(2) {
                            let answer = try await service.get(KeyTests.counts, headers: KeyTests.bearer(key))
                            switch answer.status {
                            case 200: flood.allowed += 1
                            case 429: flood.refused += 1
                            default: flood.others.append("\(answer.status) \(answer.text)")
                            }
                        }
                        return flood
                    }
                }
            }
            return try await group.reduce(into: Flood()) { all, one in
                all.allowed += one.allowed
                all.refused += one.refused
                all.others += one.others
            }
        }
        flood.seconds = (ContinuousClock.now - start) / Duration.seconds(1)
        return flood
    }

    @Test("Two API processes keep to a project's rate together; without Redis each has the rate, and nothing else is refused")
    func shared() async throws {
        try await OwnStack.with("redis") { stack in
            var backends = try await TestBackends.real()
            backends.environment.merge(["REDIS_HOST": "127.0.0.1", "REDIS_PORT": "\(stack.redisPort)"]) { $1 }
            _ = try await Self.command("projects", "create", "shop", on: backends)
            _ = try await Self.command("projects", "set", "shop", "--requests-per-second", "\(Self.rate)", on: backends)
            let key = try await Self.command("keys", "create", "--project", "shop", "--scope", "read", on: backends)
            var services: [ServiceProcess] = []
            defer { for service in services { service.terminate() } }
            for _ in 0..<2 { services.append(try await ServiceProcess.serve(backends, role: "api")) }
            for service in services {
                try await eventually("it knows the project's rate", log: service.output) {
                    try await service.get(KeyTests.counts, headers: KeyTests.bearer(key)).headers["ratelimit"] != nil
                }
            }

            let together = try await Self.flood(services, key: key)
            #expect(together.others.isEmpty && together.refused > 0 && Double(together.allowed) <= together.most, "\(together)")

            try await stack("kill", "redis")
            let apart = try await Self.flood(services, key: key)
            #expect(apart.others.isEmpty && apart.refused > 0, "\(apart)")
            #expect(Double(apart.allowed) > apart.most, "each process has the whole rate: \(apart)")
            #expect(Double(apart.allowed) <= 2 * apart.most, "\(apart)")

            try await stack("start", "redis")
            try await eventually("they share it again", within: .seconds(60)) {
                let again = try await Self.flood(services, key: key)
                return again.others.isEmpty && Double(again.allowed) <= again.most
            }
        }
    }
}
