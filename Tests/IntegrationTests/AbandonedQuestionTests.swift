import AnalyticsCore
import Foundation
import Logging
import TestSupport
import Testing

@testable import AnalyticsMongoDB

/// What is left in MongoDB of a service that is killed while it answers questions.
@Suite(.serialized, .enabled(if: TestServices.areThere), .timeLimit(.minutes(5)))
struct AbandonedQuestionTests {
    /// Seconds.
    private static let timeout = 10

    private struct Operation: Sendable {
        /// Milliseconds that the server lets it take; `nil` where nothing was said.
        var limit: Int64?
    }

    /// What the server does for the questions of one database.
    private static func operations(_ store: MongoStore, of database: String) async throws -> [Operation] {
        try await store.run(.prepare) { session throws(StoreError) in
            let stages: [BSON] = [
                ["$currentOp": ["allUsers": true]],
                [
                    "$match": [
                        "appName": "analytics questions", "active": true, "ns": ["$regex": .string("^" + database + "\\.")],
                        "op": ["$in": ["query", "command", "getmore"]],
                    ]
                ],
            ]
            return try session.command([("aggregate", 1), ("pipeline", .array(stages)), ("cursor", [:])], on: "admin", writes: false) {
                reply in
                let found = reply["cursor"]?.document?["firstBatch"]?.document?.compactMap(\.document) ?? []
                return found.map { operation in
                    let command = operation["cursor"]?.document?["originatingCommand"]?.document ?? operation["command"]?.document
                    return Operation(limit: command?["maxTimeMS"]?.integer)
                }
            }
        }
    }

    @Test("a funnel whose service is killed ends in the database, where each of its operations has a limit no longer than the question's")
    func killed() async throws {
        let backends = try await TestBackends.real()
        let uri = try #require(backends.environment["MONGODB_URI"])
        let database = try #require(URLComponents(string: uri)?.path.dropFirst()).description
        let witness = try MongoStore(uri: uri, database: database, poolSize: 1, logger: Logger(label: "test"))
        let service = try await ServiceProcess.serve(backends, settings: ["QUERY_TIMEOUT": "\(Self.timeout)"])
        defer { service.kill() }
        for first in stride(from: 0, to: 60_000, by: 5_000) {
            let events = (first..<first + 5_000).map { number in
                #"{"id":"e\#(number)","type":"t\#(number % 3)","source":"s","userId":"u\#(number % 500)","data":{"n":\#(number % 7)}}"#
            }
            let answer = try await service.post(
                "/api/v1/events/batch?wait=stored&timeout=20", events.joined(separator: "\n"), type: "application/x-ndjson")
            #expect(answer.status == 200, "\(answer.text)")
        }

        // A property without a column: events are read.
        let steps = (0..<3).map { #"{"types":["t\#($0)"],"data":{"n":[1,2,3]}}"# }.joined(separator: ",")
        let seen = try await withThrowingTaskGroup(of: Void.self) { group in
            for asker in 0..<3 {
                group.addTask {
                    var window = asker
                    // Until it is killed.
                    while service.isRunning {
                        window += 3
                        let body = #"{"steps":[\#(steps)],"windowSeconds":\#(3600 + window),"maxAge":0}"#
                        guard let answer = try? await service.post("/api/v1/analytics/funnels", body) else { return }
                        #expect(answer.status == 200, "\(answer.text)")
                    }
                }
            }
            var seen: [Operation] = []
            try await eventually("the database works for questions", within: .seconds(60), log: service.output) {
                seen = try await Self.operations(witness, of: database)
                return !seen.isEmpty
            }
            service.kill()
            try await group.waitForAll()
            return seen
        }
        let limits = seen.map(\.limit)
        #expect(limits.allSatisfy { $0.map { $0 > 0 && $0 / 1000 <= Self.timeout } ?? false }, "\(limits)")
        try await eventually("the database does nothing for it any more", within: .seconds(Self.timeout + 20)) {
            try await Self.operations(witness, of: database).isEmpty
        }
        await witness.shutdown()
    }
}
