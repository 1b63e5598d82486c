import TestSupport
import Testing

@testable import AnalyticsCore

struct InsertPlanTests {
    /// A store as a plan sees it: some events fail the insert that they are part of, or everything fails.
    private struct Script {
        var poison: Set<Int> = []
        var isDown = false
        var code = StoreError.Code.refused
        /// Inserts of others that succeed between two of ours.
        var othersSucceed = 0
        var successes = 0
        var inserts: [Range<Int>] = []
        var probes: [Int] = []
        var rounds = 0

        mutating func run(_ plan: inout InsertPlan, rounds limit: Int) -> [InsertOutcome]? {
            while let step = plan.next(successes: successes) {
                switch step {
                case .pause:
                    rounds += 1
                    if rounds == limit { return nil }
                case .probe(let index):
                    probes.append(index)
                    if !fails(index..<index + 1) { successes += 1 }
                case .insert(let range):
                    inserts.append(range)
                    successes += othersSucceed
                    if fails(range) {
                        plan.failed(StoreError(code, operation: "insert", "BadValue (2)"), successes: successes)
                    } else {
                        successes += 1
                        plan.succeeded(range.map { _ in .stored })
                    }
                }
            }
            return plan.outcomes
        }

        func fails(_ range: Range<Int>) -> Bool { isDown || !poison.isDisjoint(with: range) }
    }

    @Test func aStoreThatFailsEveryInsertInTheSameWordsBlamesNothing() {
        var plan = InsertPlan(count: 64)
        var store = Script(isDown: true)
        #expect(store.run(&plan, rounds: 1_000) == nil)
        #expect(store.inserts.allSatisfy { $0 == 0..<64 }, "never halved")
        store.isDown = false
        #expect(store.run(&plan, rounds: 2_000) == Array(repeating: .stored, count: 64))
    }

    @Test func anOutageBlamesNothingThoughOtherInsertsSucceed() {
        var plan = InsertPlan(count: 3)
        var store = Script(poison: [1], code: .unavailable, othersSucceed: 1)
        #expect(store.run(&plan, rounds: 1_000) == nil)
        #expect(store.inserts.allSatisfy { $0 == 0..<3 } && store.probes.isEmpty)
    }

    @Test func aSetIsHalvedAfterFiveEqualFailuresWhileOthersSucceed() {
        var plan = InsertPlan(count: 500)
        var store = Script(poison: [250], othersSucceed: 1)
        let outcomes = store.run(&plan, rounds: 100)
        #expect(store.inserts.prefix(5).allSatisfy { $0 == 0..<500 } && store.inserts[5] != 0..<500)
        #expect(outcomes?[250] == .refused("BadValue (2)"))
        #expect(outcomes?.count { $0 == .stored } == 499)
        #expect(store.inserts.count < 40, "\(store.inserts.count) inserts")
    }

    @Test(arguments: [[0], [499], [7, 8], [0, 250, 499], Array(0..<20)])
    func withNoOtherTrafficOneEventIsTriedByItselfToTellABadEventFromAStoreThatTakesNone(poison: [Int]) {
        var plan = InsertPlan(count: 500)
        var store = Script(poison: Set(poison))
        let outcomes = store.run(&plan, rounds: 1_000)
        #expect(outcomes.map { outcomes in outcomes.indices.filter { outcomes[$0] != .stored } } == poison)
        #expect(store.inserts.prefix(5).allSatisfy { $0 == 0..<500 })
    }

    @Test func anEventAloneIsNotGivenUpUnlessAnotherInsertSucceeds() {
        var plan = InsertPlan(count: 1)
        var store = Script(poison: [0])
        #expect(store.run(&plan, rounds: 1_000) == nil)
        store.othersSucceed = 1
        #expect(store.run(&plan, rounds: 2_000) == [.refused("BadValue (2)")])
    }

    @Test func failuresInOtherWordsBeginANewSeries() {
        var plan = InsertPlan(count: 2)
        for attempt in 0..<100 {
            #expect(plan.next(successes: attempt) == .insert(0..<2))
            plan.failed(StoreError(.refused, operation: "insert", "\(attempt % 4)"), successes: attempt)
            #expect(plan.next(successes: attempt) == .pause)
        }
    }

    /// Random sets of events that fail their insert, random outages and traffic: the bad ones are found, and only they.
    @Test(arguments: 0..<200)
    func whateverFailsWhenTheBadEventsAreFoundAndOnlyThey(seed: UInt64) {
        var random = Seeded(seed)
        let count = Int.random(in: 2...300, using: &random)
        let poison = Set((0..<Int.random(in: 0...5, using: &random)).map { _ in Int.random(in: 0..<count, using: &random) })
        guard poison.count < count else { return }
        var plan = InsertPlan(count: count)
        var store = Script(poison: poison)
        var outcomes: [InsertOutcome]?
        for _ in 0..<10_000 where outcomes == nil {
            store.isDown = Int.random(in: 0..<3, using: &random) == 0
            store.othersSucceed = store.isDown ? 0 : Int.random(in: 0...1, using: &random)
            outcomes = store.run(&plan, rounds: store.rounds + Int.random(in: 1...8, using: &random))
        }
        #expect(outcomes.map { outcomes in Set(outcomes.indices.filter { outcomes[$0] != .stored }) } == poison)
    }
}
