import Synchronization
import Testing

@testable import AnalyticsImport

@Suite struct BatchSenderTests {
    /// Gives answers in turn; `nil` is none.
    private final class Answers: ImportTransport {
        private let answers: Mutex<[ImportResponse?]>

        init(_ answers: [ImportResponse?]) {
            self.answers = Mutex(answers)
        }

        func post(_ events: [[UInt8]]) async throws -> ImportResponse {
            guard let answer = answers.withLock({ $0.removeFirst() }) else { throw NoAnswer() }
            return answer
        }
    }

    private struct NoAnswer: Error {}

    private static func send(
        _ answers: ImportResponse?..., events: Int = 2, pause: @escaping @Sendable (Duration) async throws -> Void = { _ in }
    ) async throws -> BatchSender.Outcome {
        try await BatchSender(Answers(answers), attempts: 3, pause: pause).send(Array(repeating: [], count: events))
    }

    @Test("A batch is sent again until it is taken, and what an earlier attempt had accepted is no duplicate")
    func again() async throws {
        let outcome = try await Self.send(
            nil, ImportResponse(status: 503, accepted: 30), ImportResponse(status: 200, accepted: 50, duplicates: 40))
        #expect(outcome.tally == ImportTally(accepted: 40, duplicates: 10))
    }

    @Test("A batch that is not taken ends the import")
    func givesUp() async {
        await #expect(throws: ImportFailure("the service does not accept the events: 429 slow down")) {
            try await Self.send(nil, nil, ImportResponse(status: 429, detail: "slow down"))
        }
        await #expect(throws: ImportFailure("the service answers 401: no reason given")) {
            try await Self.send(ImportResponse(status: 401))
        }
    }

    @Test("A batch waits for the project's rate as long as the service says, however often; a service that is down is no such wait")
    func rate() async throws {
        let pauses = Mutex<[Duration]>([])
        let limited = ImportResponse(status: 429, detail: "rate", retryAfter: .seconds(7))
        let outcome = try await Self.send(limited, limited, limited, limited, ImportResponse(status: 200, accepted: 2)) { pause in
            pauses.withLock { $0.append(pause) }
        }
        #expect(outcome.tally == ImportTally(accepted: 2))
        #expect(pauses.withLock { $0 } == Array(repeating: .seconds(7), count: 4))
        let down = ImportResponse(status: 503, detail: "down", retryAfter: .seconds(7))
        await #expect(throws: ImportFailure("the service does not accept the events: 503 down")) { try await Self.send(down, down, down) }
    }

    @Test("A key that is refused ends the import at once, with what the service says", arguments: [401, 403])
    func refusedKey(status: Int) async {
        await #expect(throws: ImportFailure("the service answers \(status): no")) {
            try await Self.send(ImportResponse(status: status, detail: "no"))
        }
    }

    @Test("A batch of which nothing is accepted is settled; its refusals are told")
    func allRejected() async throws {
        let refusal = ImportResponse.Refusal(index: 1, code: "c", message: "m")
        let some = try await Self.send(ImportResponse(status: 202, accepted: 3, rejectedCount: 2_000, rejected: [refusal]))
        #expect(some.tally == ImportTally(accepted: 3, rejected: 2_000) && some.refusals == [refusal])
        let outcome = try await Self.send(ImportResponse(status: 400, accepted: 0, rejected: [refusal]))
        #expect(outcome.tally == ImportTally(rejected: 1) && outcome.refusals == [refusal])
    }

    @Test("A body that is too large goes in halves, and refusals keep their places")
    func halves() async throws {
        let refusal = ImportResponse.Refusal(index: 1, code: "c", message: "m")
        let outcome = try await Self.send(
            ImportResponse(status: 413), ImportResponse(status: 202, accepted: 2), ImportResponse(status: 413), ImportResponse(status: 413),
            ImportResponse(status: 202, accepted: 1, rejected: [refusal]), events: 5)
        #expect(outcome.tally == ImportTally(accepted: 3, rejected: 2))
        #expect(outcome.refusals.map(\.index) == [2, 4] && outcome.refusals[0].code == "body_too_large")
    }
}
