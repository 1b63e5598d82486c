import AnalyticsJSON
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite struct ExportPlanTests {
    /// Lists as a store does; gives `nil` where there are too many others in the range that it had to look through.
    private struct Listing {
        var events: [EventPosition]
        var others: [Timestamp]
        var reach: Int

        func page(_ slice: Selection, after position: EventPosition?, limit: Int) -> [EventPosition]? {
            let left = events.filter { event in
                (slice.from.map { event.timestamp >= $0 } ?? true) && (slice.to.map { event.timestamp < $0 } ?? true)
                    && (position.map { Self.isNewer($0, event) } ?? true)
            }.sorted(by: Self.isNewer)
            let end = position.map { $0.id.isEmpty ? $0.timestamp : $0.timestamp + .milliseconds(1) } ?? .latest
            let last = left.count >= limit ? left[limit - 1].timestamp : slice.from ?? .earliest
            guard others.count(where: { $0 >= last && $0 < min(end, slice.to ?? .latest) }) <= reach else { return nil }
            return Array(left.prefix(limit))
        }

        static func isNewer(_ a: EventPosition, _ b: EventPosition) -> Bool {
            a.timestamp == b.timestamp ? b.id.utf8.lexicographicallyPrecedes(a.id.utf8) : b.timestamp < a.timestamp
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func everyEventComesOnceInTheOrderOfAListingHoweverShortTheSlicesHaveToBe(seed: UInt64) throws {
        var random = Seeded(seed)
        let spread = [3, 40_000, 3_600_000, 40 * 86_400_000][random.below(4)]
        let events = (0..<random.below(60)).map { index in
            EventPosition(timestamp: noon - .milliseconds(random.below(spread)), id: "\(index)")
        }
        let others = (0..<random.below(400)).map { _ in noon - .milliseconds(random.below(spread)) }
        let crowd = Dictionary(grouping: others) { $0 }.values.map(\.count).max() ?? 0
        let listing = Listing(events: events, others: others, reach: crowd + random.below(20))
        var selection = Selection(project: "p")
        if random.chance(50) { selection.from = noon - .milliseconds(random.below(spread)) }
        if random.chance(50) { selection.to = (selection.from ?? noon - .milliseconds(spread)) + .milliseconds(1 + random.below(spread)) }
        let expected = try #require(
            Listing(events: events, others: [], reach: 0).page(selection, after: nil, limit: .max))

        let limit = 1 + random.below(7)
        var plan = ExportPlan(selection, after: nil, now: noon)
        var (seen, slices) = ([EventPosition](), 0)
        while !plan.isAtEnd {
            slices += 1
            try #require(slices < 20_000)
            guard let page = listing.page(plan.slice, after: plan.position, limit: limit) else {
                guard plan.tookTooLong() else {
                    Issue.record("a millisecond was too much")
                    return
                }
                continue
            }
            seen += page
            let isQuick = random.chance(50)
            plan.gave(upTo: page.last, isFull: page.count == limit, in: isQuick ? 0.1 : 0.3)
            if random.chance(20) { plan = ExportPlan(selection, after: plan.position, now: noon + .seconds(slices)) }
        }
        #expect(seen == expected, "seed \(seed)")
    }

    @Test func aMillisecondThatIsTooMuchCannotBeCut() {
        var plan = ExportPlan(Selection(project: "p", from: noon, to: noon + .milliseconds(9)), after: nil, now: noon)
        let isCut = plan.tookTooLong()
        #expect(isCut && plan.slice.from == noon + .milliseconds(8))
        let isCutAgain = plan.tookTooLong()
        #expect(!isCutAgain)
        plan = ExportPlan(Selection(project: "p"), after: nil, now: noon)
        var cuts = 0
        while plan.tookTooLong() { cuts += 1 }
        #expect((8...16).contains(cuts), "\(cuts)")
    }

    @Test func theNewestIsAheadOfNowAsFarAsIngestTakesIt() {
        var plan = ExportPlan(Selection(project: "p"), after: nil, now: noon)
        _ = plan.tookTooLong()
        #expect(plan.slice.from == noon + .seconds((366 - 32) * 86_400) && plan.slice.to == nil)
    }
}

@Suite struct EventExportTests {
    private let store = MemoryStore()
    private let clock = ManualClock()

    private func export(
        _ selection: Selection = Selection(project: Project.default), after position: EventPosition? = nil, slice: Int = 3,
        bytes: Int = .max, gate: QueryGate = QueryGate()
    ) -> EventExport {
        var limits = EventExport.Limits()
        (limits.events, limits.bytes) = (slice, bytes)
        return EventReader(store: store, gate: gate)
            .export(selection, after: position, now: noon, limits: limits, elapsed: clock.elapsed)
    }

    private func ids(_ export: EventExport, between: () async throws -> Void = {}) async throws -> [String] {
        var (export, ids) = (export, [String]())
        while let slice = try await export.next(for: .staying) {
            ids += slice.map(\.event.id)
            try await between()
        }
        return ids
    }

    /// Events come in and are erased between any two slices, and slices take too long.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func whatIsThereFromTheBeginningToTheEndComesOnce(seed: UInt64) async throws {
        let random = Mutex(Seeded(seed))
        @Sendable func below(_ bound: Int) -> Int { random.withLock { $0.below(bound) } }
        func insert(_ count: Int, _ prefix: String) async throws {
            let times = (0..<count).map { _ in noon - .milliseconds(below(8) * (below(3) == 0 ? 86_400_000 : 1)) }
            _ = try await store.insert(times.enumerated().map { stored(sample("\(prefix)\($0) ä\(below(50))", at: $1)) })
        }
        try await insert(60, "start")
        let start = Set(store.events.map(\.event.id))
        var erased: Set<String> = []
        store.beforeRead { operation async throws(StoreError) in
            if operation == "events", below(12) == 0 { throw StoreError(.timedOut, operation: operation, "too slow") }
        }
        var number = 0
        let seen = try await ids(export(slice: 1 + below(9))) {
            number += 1
            if number < 80 { try await insert(below(3), "later\(number)-") }
            guard below(3) == 0 else { return }
            let id = store.events[below(store.events.count)].event.id
            store.delete(id: id)
            erased.insert(id)
        }
        #expect(Set(seen).count == seen.count, "seed \(seed): repeated")
        #expect(start.subtracting(erased).isSubset(of: seen), "seed \(seed): skipped \(start.subtracting(erased).subtracting(seen))")
    }

    @Test func aSliceEndsWhereItsEventsTakeItsBytes() async throws {
        let text = #""\#(String(repeating: "x", count: 3_000))""#
        _ = try await store.insert((0..<10).map { stored(sample("e\($0)", data: text)) })
        var export = export(slice: 100, bytes: 8_000)
        var sizes: [Int] = []
        while let slice = try await export.next(for: .staying) { sizes.append(slice.count) }
        #expect(sizes == [3, 3, 3, 1])
    }

    @Test func whatFailsAtTheBeginningIsToldAtOnce() async throws {
        store.faults.down([.read])
        await #expect(throws: StoreError.self) { try await ids(export()) }
        #expect(clock.sleeping.isEmpty)
    }

    @Test func anOutageInTheMiddleIsWaitedForAndThenTold() async throws {
        _ = try await store.insert((0..<9).map { stored(sample("e\($0)")) })
        var export = export()
        let first = try await export.next(for: .staying)
        #expect(first?.count == 3)
        store.faults.down([.read])
        let waiting = Task { [export] in
            var export = export
            return try await export.next(for: .staying)?.map(\.event.id)
        }
        try await eventually("it waits") { clock.sleeping.count == 1 }
        store.faults.down([])
        clock.advance(by: .seconds(5))
        #expect(try await waiting.value == ["e5", "e4", "e3"])

        store.faults.down([.read])
        let told = Task { [export] in
            var export = export
            do { _ = try await export.next(for: .staying) } catch { return "\(error)" }
            return "no error"
        }
        var passed = Duration.zero
        while passed < .seconds(60), !(await ends(Task { _ = await told.value }, within: .milliseconds(20))) {
            clock.advance(by: .seconds(1))
            passed += .seconds(1)
        }
        #expect(await told.value.contains("unavailable") && passed <= .seconds(35), "\(passed)")
        // The place stays.
        store.faults.down([])
        #expect(try await ids(self.export(after: export.cursor?.position)) == ["e5", "e4", "e3", "e2", "e1", "e0"])
    }

    @Test func aFullGateIsWaitedFor() async throws {
        _ = try await store.insert((0..<5).map { stored(sample("e\($0)")) })
        let gate = QueryGate(limits: QueryGate.Limits(concurrent: 1, waiting: 0))
        var export = export(gate: gate)
        let first = try await export.next(for: .staying)
        #expect(first?.count == 3)
        let (open, close) = AsyncStream<Void>.makeStream()
        let other = Task { try await gate(for: nil) { for await _ in open {} } }
        try await eventually("the other question runs") { gate.load.running == 1 }
        let rest = Task { [export] in
            var export = export
            return try await export.next(for: .staying)?.count
        }
        try await eventually("it waits") { clock.sleeping.count == 1 }
        close.finish()
        try await other.value
        clock.advance(by: .seconds(1))
        #expect(try await rest.value == 2)
    }

    @Test func aMillisecondThatTakesTooLongEndsIt() async throws {
        _ = try await store.insert([stored(sample("e"))])
        store.beforeRead { operation async throws(StoreError) in throw StoreError(.timedOut, operation: operation, "too slow") }
        let selection = Selection(project: Project.default, from: noon, to: noon + .milliseconds(3))
        var export = export(selection)
        let first = try await export.next(for: .staying)
        #expect(first == [])
        await #expect(throws: QueryLimitError.timeout(.seconds(5))) { try await ids(export) }
    }
}
