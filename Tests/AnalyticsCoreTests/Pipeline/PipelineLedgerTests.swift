import AnalyticsJSON
import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(2)))
struct PipelineLedgerTests {
    private let store = MemoryStore()
    private let clock = ManualClock()

    private func ledger() -> PipelineLedger {
        PipelineLedger(store: store, ids: .counting("w"), elapsed: clock.elapsed, logger: quiet)
    }

    private static func key(_ minute: Int64) -> PipelineLedger.Key { .init(project: Project.default, minute: minute) }

    private static func accepted(_ count: Int64) -> PipelineCounts {
        var counts = PipelineCounts()
        counts.accepted = count
        return counts
    }

    private func cells() async throws -> [PipelineCell] {
        try await store.pipelineCells(of: Project.default, minutes: Int64.min..<Int64.max)
    }

    @Test func writesEachSecondWhatHasChangedAndTheRestAtTheEnd() async throws {
        let ledger = ledger()
        let writes = Recorded<[PipelineCell]>()
        store.beforePipeline { writes.append($0) }
        try await testGracefulShutdown { trigger in
            let task = Task { try await ledger.run() }
            try await eventually("it waits") { clock.sleeping.count == 1 }
            ledger.add([Self.key(1): Self.accepted(3)])
            ledger.add([Self.key(1): Self.accepted(4), Self.key(2): Self.accepted(1)])
            #expect(writes.values.isEmpty, "nobody waits for a write")
            clock.advance(by: .seconds(2))
            try await eventually("it has written") { clock.sleeping.count == 1 && writes.values.count == 1 }
            clock.advance(by: .seconds(2))
            try await eventually("nothing has changed") { clock.sleeping.count == 1 }
            ledger.add([Self.key(2): Self.accepted(1)])
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
        #expect(writes.values.map { $0.map(\.minute) } == [[1, 2], [2]])
        #expect(try await cells().map(\.counts.accepted) == [7, 2])
        #expect(try await cells().map(\.revision) == [1, 2])
    }

    @Test func whatTheStoreDoesNotTakeIsWrittenLater() async throws {
        let ledger = ledger()
        store.faults.down([.pipeline])
        ledger.add([Self.key(1): Self.accepted(3)])
        await ledger.writeChanges()
        await #expect(throws: StoreError.self) { try await ledger.write([Self.key(1)]) }
        store.faults.down([])
        await ledger.writeChanges()
        #expect(try await cells().map(\.counts.accepted) == [3])
    }

    @Test func aWriteThatComesLateChangesNothing() async throws {
        let ledger = ledger()
        let started = Counting()
        let (held, release) = AsyncStream<Void>.makeStream()
        store.beforePipeline { _ in
            if started.next() == 1 { for await _ in held {} }
        }
        ledger.add([Self.key(1): Self.accepted(1)])
        let late = Task { try await ledger.write([Self.key(1)]) }
        try await eventually("the first is under way") { started.value == 1 }
        ledger.add([Self.key(1): Self.accepted(1)])
        try await ledger.write([Self.key(1)])
        release.finish()
        try await late.value
        #expect(try await cells().map(\.counts.accepted) == [2])
    }

    @Test func aCellThatWasForgottenGoesOnUnderAnotherName() async throws {
        let ledger = ledger()
        ledger.add([Self.key(0): Self.accepted(1)])
        await ledger.writeChanges()
        ledger.add(Dictionary(uniqueKeysWithValues: (1...Int64(PipelineLedger.keptCells + 1)).map { (Self.key($0), Self.accepted(1)) }))
        await ledger.writeChanges()
        #expect(ledger.cells <= PipelineLedger.keptCells)
        ledger.add([Self.key(0): Self.accepted(2)])
        await ledger.writeChanges()
        let own = try await cells().filter { $0.minute == 0 }
        #expect(own.map(\.counts.accepted).sorted() == [1, 2] && Set(own.map(\.writer)).count == 2)
    }

    @Test func holdsNoMoreThanItsLimitWhileTheStoreTakesNothing() async throws {
        let ledger = ledger()
        store.faults.down([.pipeline])
        for minute in 0..<Int64(PipelineLedger.maximumCells + 10) { ledger.add([Self.key(minute): Self.accepted(1)]) }
        await ledger.writeChanges()
        #expect(ledger.cells == PipelineLedger.maximumCells)
        store.faults.down([])
        await ledger.writeChanges()
        #expect(try await cells().count == PipelineLedger.maximumCells && ledger.cells <= PipelineLedger.keptCells)
    }

    @Test func theCollectorCountsWhatItAcceptsAndWhatItDoesNot() async throws {
        let ledger = ledger()
        let broker = MemoryBroker()
        broker.answer { _, message in message == 1 ? .lose : .confirm }
        let collector = Collector(
            publisher: broker, limits: EventLimits(), horizons: IngestHorizons(firstRetentionDays: 0), ledger: ledger,
            clock: .fixed(noon + .seconds(47)), ids: .counting("r"))
        let good = #"{"type":"t","source":"s","data":1}"#
        let bad = [
            #"{"type":1,"source":"s","data":1}"#, #"{"type":"t","source":"s","data":1,"odd":1}"#,
            #"{"type":"t","source":"s","data":1,"odd":1}"#,
        ]
        for events in [Array(repeating: good, count: 250) + bad, bad] {
            let body = PaddedBytes("[\(events.joined(separator: ","))]")
            _ = try await collector.submit(IngestRequest(project: Project.default, format: NativeFormat.batch, body: body))
        }
        await ledger.writeChanges()
        let cell = try #require(try await cells().first)
        #expect(cell.minute == noon.minute && cell.counts.accepted == 150 && cell.counts.unconfirmed == 100)
        #expect(cell.counts.rejected == [.invalidType: 2, .unknownField: 4] && cell.counts.first == noon + .seconds(47))
        #expect(cell.counts.tens == [0, 0, 0, 0, 150, 0])
    }
}
