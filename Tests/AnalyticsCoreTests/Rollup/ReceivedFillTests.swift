import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(1)))
struct ReceivedFillTests {
    private let store = MemoryStore()
    private let counts = Recorded<String>()

    /// Minutes of an earlier version, with two events each.
    private func prepare(minutes: Int) async throws {
        let events = (0..<minutes * 2).map { sample("e\($0)", at: noon + .seconds($0 * 30)) }
        try await write(events, to: store)
        try await roller(store).finish()
        for tier in RollupTier.allCases {
            for bucket in store.buckets(tier) { store.edit(tier, bucket.key) { $0.received = nil } }
        }
    }

    private var isFilled: Bool { RollupTier.allCases.allSatisfy { store.buckets($0).allSatisfy { $0.received != nil } } }

    @Test func minutesAreCountedInPiecesWithAPauseAfterEach() async throws {
        try await prepare(minutes: 200)
        let (counts, slept) = (counts, Recorded<Duration>())
        store.beforeRead { if $0.equalsUTF8("countEvents") { counts.append($0) } }
        let clock = ElapsedClock(now: { .zero }, sleep: { slept.append($0) })
        let fill = ReceivedFill(store: store, pause: .milliseconds(50), elapsed: clock)
        #expect(try await fill.run() == 200)
        #expect(counts.values.count == 4 && slept.values == Array(repeating: .milliseconds(50), count: 4))
        #expect(isFilled)
    }

    @Test func aPieceEndsWithTheMinuteInWhichItHasEnoughEvents() async throws {
        try await prepare(minutes: 20)
        let counts = counts
        store.beforeRead { if $0.equalsUTF8("countEvents") { counts.append($0) } }
        #expect(try await ReceivedFill(store: store, eventsAtATime: 5).run() == 20)
        #expect(counts.values.count == 7, "three minutes each")
        #expect(isFilled)
    }

    @Test func aPieceThatTakesTooLongIsHalved() async throws {
        try await prepare(minutes: 40)
        let counts = counts
        store.beforeRead { (name) async throws(StoreError) in
            guard name.equalsUTF8("countEvents") else { return }
            counts.append(name)
            if counts.values.count < 4 { throw StoreError(.timedOut, operation: name, "too many") }
        }
        #expect(try await ReceivedFill(store: store).run() == 40)
        // 40, 20 and 10 are too many; then 5, 10, 20 and the last 5.
        #expect(counts.values.count == 7 && isFilled)
    }
}
