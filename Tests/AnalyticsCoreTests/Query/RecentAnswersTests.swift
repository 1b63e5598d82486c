import TestSupport
import Testing

@testable import AnalyticsCore

struct RecentAnswersTests {
    private let recent = RecentAnswers()
    private let computed = Counting()

    private func ask(_ key: String = "k", at seconds: Int, maxAge: Int, size: Int = 1) async throws -> Answered<Int> {
        let age = AnswerAge(now: noon + .seconds(seconds), limit: .seconds(maxAge))
        return try await recent.answer(key, age, for: .staying, size: { _ in size }, { [computed] in (computed.next(), false) })
    }

    @Test func anAnswerIsTakenForAsLongAsItsAskerAllows() async throws {
        let first = try await ask(at: 0, maxAge: 5)
        #expect(first.answer == 1 && !first.isCached && first.asOf == noon)
        let same = try await ask(at: 5, maxAge: 5)
        #expect(same.answer == 1 && same.isCached && same.asOf == noon)
        #expect(try await ask(at: 6, maxAge: 60).answer == 1)
        #expect(try await ask("other", at: 6, maxAge: 60).answer == 2)
        let later = try await ask(at: 6, maxAge: 5)
        #expect(later.answer == 3 && !later.isCached && later.asOf == noon + .seconds(6))
    }

    @Test func withoutAnAgeNothingIsKeptOrTaken() async throws {
        #expect(try await ask(at: 0, maxAge: 0).answer == 1)
        #expect(try await ask(at: 0, maxAge: 0).answer == 2)
        #expect(try await ask(at: 0, maxAge: 9).answer == 3)
        #expect(try await ask(at: 0, maxAge: 0).answer == 4)
        #expect(try await ask(at: 0, maxAge: 9).answer == 3)
    }

    @Test func theOldestGoWhenAllTakeTooMuch() async throws {
        for number in 0..<3 { _ = try await ask("k\(number)", at: number, maxAge: 3_600, size: RecentAnswers.byteLimit / 2 - 1_000) }
        #expect(try await ask("k2", at: 9, maxAge: 3_600).isCached)
        #expect(try await ask("k1", at: 9, maxAge: 3_600).isCached)
        #expect(try await !ask("k0", at: 9, maxAge: 3_600).isCached)
    }

    @Test func aClockThatWasSetBackDoesNotKeepAnswers() async throws {
        #expect(try await ask(at: 3_600, maxAge: 5).answer == 1)
        #expect(try await ask(at: 0, maxAge: 5).answer == 2)
        #expect(try await ask(at: 4, maxAge: 5).answer == 2)
    }

    @Test func oneThatIsUnderWayIsNotTakenWhenItIsTooOld() async throws {
        let (gate, isUnderWay) = (Flag(), Flag())
        let slow = Task { [recent, computed] in
            let compute: @Sendable () async -> (answer: Int, cached: Bool) = {
                isUnderWay.isTaken = true
                while !gate.isTaken { await Task.yield() }
                return (computed.next(), false)
            }
            return try await recent.answer("k", AnswerAge(now: noon, limit: .seconds(5)), for: .staying, size: { _ in 1 }, compute)
        }
        try await eventually("it is under way") { isUnderWay.isTaken }
        let late = Task { try await ask(at: 20, maxAge: 1) }
        gate.isTaken = true
        let answers = (try await slow.value, try await late.value)
        #expect(answers.0.asOf == noon && answers.1.asOf == noon + .seconds(20))
    }

    @Test func aFailureIsNoAnswer() async throws {
        struct Failure: Error {}
        let age = AnswerAge(now: noon, limit: .seconds(5))
        await #expect(throws: Failure.self) {
            _ = try await recent.answer("k", age, for: .staying, size: { (_: Int) in 1 }, { throw Failure() })
        }
        #expect(try await ask(at: 0, maxAge: 5).answer == 1)
    }
}
