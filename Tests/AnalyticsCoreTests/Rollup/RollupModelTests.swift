import Foundation
import TestSupport
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
            default: .markDays
            }
        }
    }
}

@Suite(.timeLimit(.minutes(5)))
struct RollupModelTests {
    /// `ROLLUP_SCHEDULES` asks for another number than 20,000.
    private static let schedules = ProcessInfo.processInfo.environment["ROLLUP_SCHEDULES"].flatMap(Int.init) ?? 20_000

    /// The marks of every set of minutes, by bits.
    private static func marks() async throws -> [[RollupModel.Step]] {
        var marks: [[RollupModel.Step]] = []
        for set in 0..<(1 << RollupModel.minutes.count) {
            marks.append(try await MarkRecorder.steps(marking: RollupModel.minutes.indices.filter { set & (1 << $0) != 0 }))
        }
        return marks
    }

    @Test func marksMinutesThenHoursThenDays() async throws {
        let steps = try await MarkRecorder.steps(marking: [0, 1, 2])
        #expect(steps == [.markMinutes([0, 1, 2]), .markHours([0, 1]), .markDays])
    }

    @Test func everyScheduleComesToRestWithRollupsThatEqualTheEvents() async throws {
        let marks = try await Self.marks()
        var (dead, deleted, hits) = (0, 0, 0)
        for seed in 0..<UInt64(Self.schedules) {
            // Others share these few threads, and some of them wait with a deadline.
            if seed % 20 == 0 { await Task.yield() }
            var play = Play(.production, seed: seed, marks)
            if let failure = play.run() {
                Issue.record("seed \(seed): \(failure)")
                return
            }
            dead += play.model.events.count(where: \.isDead)
            deleted += play.model.events.count { $0.wasStored && !$0.isStored }
            hits += play.hits
        }
        // A model in which none of this happens would prove little.
        #expect(min(dead, deleted, hits) > Self.schedules / 10, "\(dead) dead, \(deleted) deleted, \(hits) cached answers")
    }

    /// A model that finds nothing wrong with these would prove nothing.
    @Test(arguments: RollupModel.Variant.allCases.dropFirst())
    func findsWhatIsWrongWith(variant: RollupModel.Variant) async throws {
        let marks = try await Self.marks()
        for seed in 0..<UInt64(20_000) {
            if seed % 20 == 0 { await Task.yield() }
            var play = Play(variant, seed: seed, marks)
            if play.run() != nil { return }
        }
        Issue.record("not found")
    }
}

/// One schedule.
private struct Play {
    var model: RollupModel
    /// Answers that came from the cache.
    var hits = 0
    private var random = Seeded(0)
    private var writers: [RollupModel.Writer] = []
    private var rollers = [RollupModel.RollerState(), .init(), .init()]
    private var sweepers = [RollupModel.Sweeper(), .init()]
    private var readers: [RollupModel.Reader] = []
    private var target = Timestamp(minute: 0)

    init(_ variant: RollupModel.Variant, seed: UInt64, _ marks: [[RollupModel.Step]]) {
        var random = Seeded(seed)
        model = RollupModel(variant)
        for _ in 0..<8 {
            model.events.append(.init(minute: random.below(RollupModel.minutes.count), type: random.below(RollupModel.types.count)))
        }
        // 5 is delivered twice, to two flushes at once.
        for events in [[0, 1], [2, 3], [4, 5], [5, 6, 7]] {
            var steps = marks[events.reduce(0) { $0 | 1 << model.events[$1].minute }]
            if variant == .hoursMarkedBeforeMinutes { steps.swapAt(0, 1) }
            if variant == .bumpedBeforeMarked { steps.insert(steps.removeLast(), at: 0) }
            steps.insert(.insert, at: variant == .markedBeforeInserted ? steps.count : 0)
            writers.append(.init(events: events, steps: [.admit] + steps + [.confirm]))
        }
        // Few ranges, so that some ask what was asked before.
        for _ in 0..<10 {
            let (from, to): (Int64, Int64) = [(-1, 121), (0, 60), (1, 61), (-1, 1_441)][random.below(4)]
            let cover = RangeDecomposition(Timestamp(minute: from)..<Timestamp(minute: to))
            readers.append(.init(cover: cover, range: from..<to))
        }
        target = Self.target(&random)
        self.random = random
    }

    /// Before every minute, between them, or after all.
    private static func target(_ random: inout Seeded) -> Timestamp {
        Timestamp(minute: [-60, 0, 1, 2, 60, 61][random.below(6)])
    }

    mutating func run() -> String? {
        // One draw decides who goes; those who are done let the draw pass.
        while writers.contains(where: { !$0.isDone }) {
            switch random.below(24) {
            case let draw where draw < 8:
                let index = draw % writers.count
                if !writers[index].isDone { model.step(&writers[index], &random) }
            case let draw where draw < 14:
                let index = draw % rollers.count
                // As many rounds as it takes while a flush waits for a count.
                if rollers[index].rounds > 0 || rollers[index].bucket != nil || writers.contains(where: { $0.pending?.isEmpty == false }) {
                    model.step(&rollers[index], &random)
                }
            case let draw where draw < 18:
                let index = draw % sweepers.count
                if sweepers[index].rounds > 0 { model.step(&sweepers[index], target: target, &random) }
            case 18, 19, 20: read(random.below(readers.count))
            case 21: target = Self.target(&random)
            default: model.happenLate(&random)
            }
        }
        for index in readers.indices {
            while readers[index].phase < RollupModel.Reader.phases { read(index) }
        }
        return model.rest(&random)
    }

    private mutating func read(_ index: Int) {
        guard readers[index].phase < RollupModel.Reader.phases else { return }
        let before = readers[index].phase
        model.step(&readers[index])
        if before == 0, readers[index].phase == RollupModel.Reader.phases { hits += 1 }
    }
}
