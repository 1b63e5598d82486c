import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(5)))
struct ReconciliationTests {
    private let store = MemoryStore()
    private let minute = BucketKey(project: Project.default, index: noon.minute)

    private func reconcile() async throws -> Reconciliation.Report {
        try await Reconciliation(store: store, pause: .zero).run()
    }

    private func fill() async throws {
        let events = (0..<300).map { index in
            sample(
                "e\(index)", type: "t\(index % 3)", at: noon + .seconds(index * 97), project: index % 5 == 0 ? "another" : Project.default)
        }
        try await write(events + [sample("old", at: noon - .seconds(40 * 86_400))], to: store, bots: ["e1", "e2"])
        try await roller(store).finish()
    }

    @Test func findsNothingWhereEverythingIsRolled() async throws {
        try await fill()
        let report = try await reconcile()
        #expect(report.differences.isEmpty && report.marked == 0 && report.events == 301)
        #expect(report.minutes == store.buckets(.minute).count && report.hours == store.buckets(.hour).count)
        #expect(report.days == store.buckets(.day).count && report.days > 2)
    }

    /// Stored by a delivery that was given up unread: nobody has marked it.
    @Test func namesTheHoursToBeCountedAgainAndRebuildingThemMendsThem() async throws {
        try await fill()
        let unmarked = [
            sample("x1", at: noon - .seconds(7_200)), sample("x2", at: noon - .seconds(1)),
            sample("x3", at: noon + .seconds(86_400 * 9)),
            sample("x4", at: noon - .seconds(7_200), project: "another"),
        ]
        _ = try await store.insert(unmarked.map(stored))
        let first = Timestamp(milliseconds: noon.milliseconds - 7_200_000)
        let late = Timestamp(milliseconds: noon.milliseconds + 9 * 86_400_000)
        let recounts = try await reconcile().recounts
        #expect(
            recounts == [
                .init(project: "another", range: first..<first + .seconds(3_600)),
                .init(project: Project.default, range: first..<first + .seconds(7_200)),
                .init(project: Project.default, range: late..<late + .seconds(3_600)),
            ])
        for recount in recounts.dropLast() {
            _ = try await Rebuild(store: store, roller: roller(store)).run(project: recount.project, range: recount.range)
        }
        #expect(try await reconcile().recounts == Array(recounts.suffix(1)), "what lies outside of the range is left alone")
    }

    @Test func findsNothingInAnEmptyStore() async throws {
        #expect(try await reconcile() == Reconciliation.Report())
    }

    enum Damage: CaseIterable {
        case minuteCountsTooMany
        case minuteLost
        case groupTooMany
        case groupMissing
        case hourCountsTooMany
        case quarterMoved
        case botsForgotten
        case hourLost
        case hourWithoutMinutes
        case dayCountsTooMany
        case dayLost
        case eventUnmarked
        case eventLost

        func plant(in store: MemoryStore) async throws {
            let minute = BucketKey(project: Project.default, index: (noon + .seconds(97)).minute)
            switch self {
            case .minuteCountsTooMany: store.edit(.minute, minute) { $0.groups[0].count += 1 }
            case .minuteLost: store.remove(.minute, minute)
            case .groupTooMany: store.edit(.minute, minute) { $0.groups.append(RollupGroup(type: "x", source: "x", count: 1)) }
            case .groupMissing: store.edit(.minute, minute) { $0.groups.removeLast() }
            case .hourCountsTooMany: store.edit(.hour, minute.hour) { $0.groups[0].quarters[1] += 1 }
            case .quarterMoved:
                store.edit(.hour, minute.hour) { $0.groups[0].quarters = Array($0.groups[0].quarters.reversed()) }
            case .botsForgotten: store.edit(.hour, minute.hour) { for index in $0.groups.indices { $0.groups[index].bots = [] } }
            case .dayCountsTooMany: store.edit(.day, minute.hour.dayOfHour) { $0.groups[0].count += 1 }
            case .dayLost: store.remove(.day, minute.hour.dayOfHour)
            case .hourLost: store.remove(.hour, minute.hour)
            case .hourWithoutMinutes:
                let key = BucketKey(project: Project.default, index: minute.hour.index + 400)
                let group = RollupGroup(type: "x", source: "x", count: 1, quarters: [1, 0, 0, 0])
                store.plant(.hour, Rollup(key: key, version: 1, done: 1, dirty: false, groups: [group]))
            case .eventUnmarked: _ = try await store.insert([stored(sample("unmarked", at: noon + .seconds(97)))])
            case .eventLost: store.delete(id: "e1")
            }
        }
    }

    @Test(arguments: Damage.allCases)
    func findsWhatWasPlantedAndARebuildRepairsIt(damage: Damage) async throws {
        try await fill()
        try await damage.plant(in: store)
        let report = try await reconcile()
        #expect(!report.differences.isEmpty)
        #expect(
            report.differences.allSatisfy {
                $0.bucket.project == Project.default && ($0.rollup != $0.events || [.quarterMoved, .botsForgotten].contains(damage))
            })
        #expect(damage != .botsForgotten || report.differences.allSatisfy { $0.bots != nil && $0.rollup == $0.events })
        _ = try await Rebuild(store: store, roller: roller(store)).run()
        #expect(try await reconcile().differences == [])
        #expect(store.buckets(.minute).allSatisfy { !$0.dirty } && store.buckets(.hour).allSatisfy { !$0.dirty })
    }

    @Test func aDifferenceSaysWhatItIs() async throws {
        try await write([sample("a")], to: store)
        try await roller(store).finish()
        store.edit(.minute, minute) { $0.groups[0].count = 7 }
        let found = try await reconcile().differences
        #expect(
            found.map(\.description).contains("minute 2026-03-01T12:00:00.000Z project default type view source web: rollup 7, events 1"))
        // The hour still says what the events say; its minutes do not.
        #expect(Set(found.map(\.tier)) == [.minute, .hour])
    }

    @Test func whatIsMarkedIsToldAndNotCompared() async throws {
        try await write([sample("a")], to: store)
        let report = try await reconcile()
        #expect(report.differences.isEmpty && report.marked == 3)
    }

    @Test func minutesBelowTheWatermarkAreNotComparedWhetherTheirEventsAreGoneOrNot() async throws {
        try await write([sample("a"), sample("kept"), sample("b", at: noon + .seconds(86_400))], to: store)
        try await roller(store).finish()
        store.delete(id: "a")
        #expect(try await reconcile().differences.count == 1, "without a watermark nothing may be missing")
        try await store.raiseWatermark(of: Project.default, to: noon + .seconds(60))
        let report = try await reconcile()
        #expect(report.differences.isEmpty && report.expired == 1 && report.events == 1)
    }

    @Test func aRebuildKeepsTheCountsBelowTheWatermark() async throws {
        try await write([sample("a"), sample("kept"), sample("b", at: noon + .seconds(86_400))], to: store)
        try await roller(store).finish()
        store.delete(id: "a")
        try await store.raiseWatermark(of: Project.default, to: noon + .seconds(60))
        store.edit(.hour, BucketKey(project: Project.default, index: noon.hour)) { $0.groups[0].quarters = [9, 0, 0, 0] }
        #expect(try await Rebuild(store: store, roller: roller(store)).run() == 1)
        #expect(store.buckets(.minute).map { $0.groups.map(\.count) } == [[2], [1]])
        #expect(store.buckets(.hour).map { $0.groups.map(\.count) } == [[2], [1]], "an hour is made anew from its minutes")
    }

    @Test func anEventThatIsMarkedAMomentLaterIsNoDifference() async throws {
        try await fill()
        let late = sample("late", at: noon + .seconds(97))
        let store = store
        let look = Counting()
        store.beforeRead { name in
            guard name == "countEvents" else { return }
            // Inserted before the first look; the flush goes on before the second.
            switch look.next() {
            case 1: _ = try? await store.insert([stored(late)])
            case 2: try? await write([late], to: store)
            default: break
            }
        }
        #expect(try await reconcile().differences == [])
    }

    @Test func findsNothingBesideAServiceAtWork() async throws {
        try await fill()
        let store = store
        let number = Counting()
        let other = roller(store)
        // The roller reads, too.
        let busy = Flag()
        store.beforeRead { name in
            guard !busy.isTaken, ["countEvents", "rollups minute", "rollups hour", "rollups day"].contains(name), number.value < 60 else {
                return
            }
            busy.isTaken = true
            defer { busy.isTaken = false }
            let id = number.next()
            try? await write([sample("w\(id)", at: noon + .seconds(id % 7 * 1_000))], to: store)
            if id % 3 == 0 { try? await other.finish() }
        }
        #expect(try await reconcile().differences == [])
    }

    @Test func oneEventOfTheYearOneDoesNotMakeItEndless() async throws {
        try await write([sample("a", at: Timestamp(milliseconds: noon.milliseconds - 400 * 365 * 86_400_000)), sample("b")], to: store)
        try await roller(store).finish()
        let before = store.queries
        #expect(try await reconcile().differences.isEmpty)
        #expect(store.queries - before < 50_000)
    }
}

@Suite(.timeLimit(.minutes(5)))
struct RollerTests {
    private let store = MemoryStore()
    @Test func rollsMinutesAndThenHoursWithTheirQuarters() async throws {
        let times = [0, 60, 14 * 60 + 59, 15 * 60, 59 * 60].map { noon + .seconds($0) }
        try await write(times.enumerated().map { sample("e\($0)", at: $1) }, to: store)
        try await roller(store).finish()
        #expect(store.buckets(.minute).map { $0.groups.map(\.count) } == [[1], [1], [1], [1], [1]])
        #expect(store.buckets(.hour).map(\.groups) == [[RollupGroup(type: "view", source: "web", count: 5, quarters: [3, 1, 0, 1])]])
        #expect(store.buckets(.day).map(\.groups) == [[RollupGroup(type: "view", source: "web", count: 5)]])
    }

    /// A store says of an operation that was cancelled what it says of an outage.
    @Test func aRollerThatIsStoppedDoesNotTellOfItsCancelledOperation() async throws {
        let log = RecordedLog()
        let isReading = Flag()
        store.beforeRead { _ in
            isReading.isTaken = true
            try? await Task.sleep(for: .seconds(600))
        }
        let running = Task { try await Roller(store: store, logger: log.logger).run() }
        try await eventually("it reads") { isReading.isTaken }
        running.cancel()
        #expect(await ends(running))
        #expect(log.warnings == [])
    }

    @Test func projectsAreCountedApart() async throws {
        let projects: [ProjectID] = ["one", "another"]
        for (index, project) in projects.enumerated() {
            try await write((0...index).map { sample("e\($0)", project: project) }, to: store)
        }
        for project in projects { try await store.mark(.minute, [BucketKey(project: project, index: noon.minute)]) }
        try await roller(store).finish()
        for tier in RollupTier.allCases {
            #expect(store.buckets(tier).map { $0.groups.map(\.count) }.sorted { $0[0] < $1[0] } == [[1], [2]], "\(tier)")
        }
    }

    @Test func aMinuteBelowTheWatermarkIsUnmarkedAsItIs() async throws {
        try await write((0..<100).map { sample("e\($0)", at: noon + .milliseconds($0)) }, to: store)
        try await roller(store).finish()
        for id in 0..<99 { store.delete(id: "e\(id)") }
        try await store.raiseWatermark(of: Project.default, to: noon + .seconds(60))
        try await write([sample("late"), sample("next", at: noon + .seconds(60))], to: store)
        try await roller(store).finish()
        #expect(store.buckets(.minute).map { $0.groups.map(\.count) } == [[100], [1]])
        #expect(store.buckets(.hour).map { $0.groups.map(\.count) } == [[101]])
        #expect(store.buckets(.minute).allSatisfy { !$0.dirty } && store.buckets(.hour).allSatisfy { !$0.dirty })
        #expect(store.buckets(.minute)[0].done < store.buckets(.minute)[0].version, "its last version was not counted")
    }

    /// The deletion comes between the count and its roll: what was counted is too little.
    @Test func aCountDuringWhichTheWatermarkRosePastTheMinuteIsNotWritten() async throws {
        try await write((0..<100).map { sample("e\($0)", at: noon + .milliseconds($0)) }, to: store)
        try await roller(store).finish()
        try await write([sample("late"), sample("next", at: noon + .seconds(60))], to: store)
        let (store, once) = (store, Once())
        store.beforeRead { name in
            guard name == "countEvents", once.claim() else { return }
            try? await store.raiseWatermark(of: Project.default, to: noon + .seconds(60))
            for id in 0..<99 { store.delete(id: "e\(id)") }
        }
        try await roller(store).finish()
        #expect(store.buckets(.minute).map { $0.groups.map(\.count) } == [[100], [1]])
    }

    @Test func theWatermarkOfOneProjectIsNotThatOfAnother() async throws {
        let (one, another): (ProjectID, ProjectID) = ("one", "another")
        try await write([sample("a", project: one), sample("a", project: another)], to: store)
        try await store.raiseWatermark(of: one, to: noon + .seconds(60))
        #expect(ProjectRecords(try await store.projectRecords()).firstWholeMinute(of: another) == .min)
    }

    @Test func aBackfillIsCountedInRanges() async throws {
        try await write((0..<3_000).map { sample("e\($0)", at: noon + .seconds(60 * $0)) }, to: store)
        try await roller(store).finish()
        #expect(store.countedRanges.count <= 10)
        #expect(store.buckets(.minute).allSatisfy { !$0.dirty && $0.groups.map(\.count) == [1] })
    }

    @Test func aMinuteThatLostItsEventsIsCountedEmpty() async throws {
        try await write([sample("a")], to: store)
        try await roller(store).finish()
        store.delete(id: "a")
        try await store.mark(.minute, [BucketKey(project: Project.default, index: noon.minute)])
        try await store.mark(.hour, [BucketKey(project: Project.default, index: noon.hour)])
        try await roller(store).finish()
        #expect(store.buckets(.minute).map(\.groups) == [[]] && store.buckets(.hour).map(\.groups) == [[]])
    }

    @Test func finishingEndsBesideAMinuteThatIsMarkedAgainAndAgain() async throws {
        try await write([sample("quiet", at: noon - .seconds(86_400))], to: store)
        let store = store
        let number = Counting()
        store.beforeRead { name in
            if name == "countEvents" { try? await write([sample("hot\(number.next())")], to: store) }
        }
        try await write([sample("hot")], to: store)
        try await roller(store).finish()
        #expect(store.buckets(.minute).first?.dirty == false && store.buckets(.hour).first?.dirty == false)
    }

    @Test func finishingStopsWhenCancelled() async throws {
        try await write([sample("a")], to: store)
        let store = store
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await roller(store).finish()
        }
        #expect(await ends(task))
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
