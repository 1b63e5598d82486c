import Foundation
import Testing

@testable import AnalyticsCore

/// Writes down in which order ``BucketMarks`` marks.
private enum MarkRecorder {

    static func steps(marking minutes: [Int]) async throws -> [RollupModel.Step] {
        var marks = BucketMarks()
        for minute in minutes { marks.touch(BucketKey(project: "p", index: RollupModel.minutes[minute])) }
        let store = MemoryStore()
        try await marks.write(to: store)
        let marked = { (tier: RollupTier, all: [Int64]) in store.buckets(tier).map { all.firstIndex(of: $0.key.index)! } }
        return store.faults.trace.map { step in
            switch step {
            case .markMinute: .markMinutes(marked(.minute, RollupModel.minutes))
            case .markHour: .markHours(marked(.hour, RollupModel.hours))
            default: .bump
            }
        }
    }
}

@Suite(.timeLimit(.minutes(5)))
struct RollupModelTests {
    /// `ROLLUP_SCHEDULES` asks for another number than 20,000, which take about seven seconds unoptimised.
    private static let schedules = ProcessInfo.processInfo.environment["ROLLUP_SCHEDULES"].flatMap(Int.init) ?? 20_000

    /// The marks of every set of minutes, by bits.
    private static func marks() async throws -> [[RollupModel.Step]] {
        var marks: [[RollupModel.Step]] = []
        for set in 0..<(1 << RollupModel.minutes.count) {
            marks.append(try await MarkRecorder.steps(marking: RollupModel.minutes.indices.filter { set & (1 << $0) != 0 }))
        }
        return marks
    }

    @Test func marksMinutesThenHoursThenGenerations() async throws {
        let steps = try await MarkRecorder.steps(marking: [0, 1, 2])
        #expect(steps == [.markMinutes([0, 1, 2]), .markHours([0, 1]), .bump])
    }

    @Test func everyScheduleComesToRestWithRollupsThatEqualTheEvents() async throws {
        let marks = try await Self.marks()
        for seed in 0..<UInt64(Self.schedules) {
            // Others share these few threads, and some of them wait with a deadline.
            if seed % 20 == 0 { await Task.yield() }
            if let failure = Self.run(.production, seed: seed, marks) {
                Issue.record("seed \(seed): \(failure)")
                return
            }
        }
    }

    /// A model that finds nothing wrong with these would prove nothing.
    @Test(arguments: RollupModel.Variant.allCases.dropFirst())
    func findsWhatIsWrongWith(variant: RollupModel.Variant) async throws {
        let marks = try await Self.marks()
        var wrong = 0
        for seed in 0..<UInt64(1_000) {
            if seed % 20 == 0 { await Task.yield() }
            if Self.run(variant, seed: seed, marks) != nil { wrong += 1 }
        }
        #expect(wrong > 0)
    }

    private static func run(_ variant: RollupModel.Variant, seed: UInt64, _ marks: [[RollupModel.Step]]) -> String? {
        var random = Seeded(seed)
        var model = RollupModel(variant)
        for _ in 0..<7 { model.events.append(.init(minute: random.below(RollupModel.minutes.count), type: random.below(2))) }
        func writer(_ events: [Int], _ first: RollupModel.Step) -> RollupModel.Writer {
            var steps = marks[events.reduce(0) { $0 | 1 << model.events[$1].minute }]
            if variant == .hoursMarkedBeforeMinutes { steps.swapAt(0, 1) }
            steps.insert(first, at: variant == .markedBeforeInserted ? steps.count : 0)
            return .init(events: events, steps: steps)
        }
        // Event 0 is there from the start, and is deleted; 5 is delivered twice, to two flushers at once.
        var writers = [writer([1, 2], .insert), writer([3, 4, 5], .insert), writer([5, 6], .insert)]
        var first = writer([0], .insert)
        first.crashes = 0
        first.mayBeLate = false
        while !first.isDone { model.step(&first, &random) }
        var deletion = writer([0], .delete)
        deletion.crashes = 1
        writers.append(deletion)
        var rollers = [RollupModel.RollerState(), .init(), .init()]
        let reader = { (random: inout Seeded) in
            let from = Int64(random.below(4))
            let to = from + 1 + Int64(random.below(140))
            let cover = RangeCover(Timestamp(minute: from - 1)..<Timestamp(minute: to))
            return RollupModel.Reader(cover: cover, range: from - 1..<to)
        }
        var readers = [reader(&random), reader(&random), reader(&random)]
        play(&model, &writers, &rollers, &readers, &random)
        return model.rest(&random)
    }

    private static func play(
        _ model: inout RollupModel, _ writers: inout [RollupModel.Writer], _ rollers: inout [RollupModel.RollerState],
        _ readers: inout [RollupModel.Reader], _ random: inout Seeded
    ) {
        // One draw decides who goes; those who are done let the draw pass.
        while writers.contains(where: { !$0.isDone }) {
            switch random.below(16) {
            case let draw where draw < 6:
                let index = draw % writers.count
                if !writers[index].isDone { model.step(&writers[index], &random) }
            case let draw where draw < 12:
                let index = draw % rollers.count
                if rollers[index].rounds > 0 { model.step(&rollers[index], &random) }
            case 12, 13, 14:
                let index = random.below(readers.count)
                if readers[index].phase < 3 { model.step(&readers[index]) }
            default: model.happenLate(&random)
            }
        }
        for index in readers.indices {
            while readers[index].phase < 3 { model.step(&readers[index]) }
        }
    }
}
