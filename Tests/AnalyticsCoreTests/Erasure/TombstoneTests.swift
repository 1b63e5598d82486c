import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

/// Digests find what the conditions of a selection find.
struct TombstoneTests {
    private let salt = Salt(high: 1, low: 2)

    private func filter(_ selection: Selection, until: Timestamp = noon) -> ErasureFilter {
        ErasureFilter([Tombstone(selection, salt: salt, until: until)])
    }

    @Test func textIsComparedByItsBytes() {
        let composed = filter(Selection(project: Project.default, userIds: ["\u{E9}"]))
        #expect(composed.covers(act("a", "\u{E9}")) && !composed.covers(act("a", "e\u{301}")) && !composed.covers(act("a", nil, "\u{E9}")))
        let type = filter(Selection(project: Project.default, types: ["e\u{301}"]))
        #expect(type.covers(act("a", type: "e\u{301}")) && !type.covers(act("a", type: "\u{E9}")))
    }

    @Test func receiptDecidesAndTheMomentOfTheRequestIsIn() {
        let filter = filter(Selection(project: Project.default, userIds: ["ann"]))
        #expect(filter.covers(act("a", "ann", received: noon)))
        #expect(!filter.covers(act("a", "ann", received: noon + .milliseconds(1))))
    }

    @Test func manyAreTriedByWhomTheyName() {
        let users = (0..<200).map { Tombstone(Selection(project: Project.default, userIds: ["u\($0)"]), salt: salt, until: noon) }
        var joined = Tombstone(
            Selection(project: Project.default, types: ["view"], userIds: ["ann"]), salt: Salt(high: 9, low: 9), until: noon)
        joined.identify(["d"])
        let filter = ErasureFilter(users + [joined])
        #expect(
            filter.covered([act("1", "u7"), act("2", "u200"), act("3", nil, "d"), act("4", "bob", "d"), act("5", nil, "d", type: "x")]) == [
                0, 2,
            ])
        #expect(ErasureFilter([]).covered([act("1")]) == [])
    }

    /// The store looks for an event by the condition, and the digests decide: both must say the same.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func valuesAreThoseOfConditions(seed: UInt64) throws {
        var random = Seeded(seed)
        let texts = [
            "42", "42.0", "-0", "0", "1e2", "100", "true", "null", "a", "", "\u{E9}", "9007199254740993", "1.5", "9223372036854775807",
        ]
        let values = [
            "42", "42.0", "-0.0", "0", "1e2", "true", "false", "null", "\"42\"", "\"a\"", "\"\"", "\"e\u{301}\"", "\"\\u00e9\"",
            "9007199254740993",
            "9007199254740992.0", "1.5", "{}", "[]", "[[42]]", "9223372036854775807", "1e300",
        ]
        for _ in 0..<200 {
            func value() -> String { values[random.below(values.count)] }
            let leaf = random.chance(40) ? "[\(value()),\(value())]" : value()
            let data = random.chance(30) ? "{\"k\":[{\"p\":\(leaf)},{\"p\":\(value())}]}" : "{\"k\":{\"p\":\(leaf)},\"p\":\(value())}"
            let conditions = (0...random.below(2)).map { index in
                DataCondition(
                    path: index == 0 ? ["k", "p"] : ["p"], values: (0...random.below(2)).map { _ in texts[random.below(texts.count)] })
            }
            let selection = Selection(project: Project.default, data: conditions)
            let event = act("a", data: data)
            #expect(filter(selection).covers(event) == (try DataMatcher(conditions).matches(data)), "\(data) \(conditions)")
        }
    }

    @Test(arguments: 0..<30 as Range<UInt64>)
    func aRecordComesBackAsItWasAndDamageIsSeen(seed: UInt64) throws {
        var random = Seeded(seed)
        func texts() -> [String] { (0..<random.below(3)).map { _ in ["", "e\u{301}", "\u{0}", "long \(random.next())"][random.below(4)] } }
        func time() -> Timestamp? { random.chance(50) ? noon + .milliseconds(random.below(1_000_000) - 500_000) : nil }
        var selection = Selection(
            project: Project.default, types: texts(), sources: texts(), userIds: texts(), anonymousIds: texts(), correlationIds: texts(),
            from: time(), to: time())
        if random.chance(50) { selection.data = [DataCondition(path: ["a", "\u{E9} b"], values: texts())] }
        var erasure = Erasure(
            project: Project.default, id: "x", tombstone: Tombstone(selection, salt: .random(), until: noon),
            selection: random.chance(80) ? selection : nil)
        erasure.tombstone.identify(texts())
        erasure.identified = texts()
        erasure.state = Erasure.State.allCases[random.below(7)]
        erasure.walk = Erasure.Walk(
            list: random.below(3), end: time(), slice: random.chance(50) ? noon..<noon + .seconds(5) : nil, found: Int64(random.below(9)))
        for day in [20_000, 20_001, 19_000, -3] as [Int64] where random.chance(50) { erasure.touch(day) }
        (erasure.erasedAt, erasure.doneAt, erasure.failure) = (time(), time(), random.chance(20) ? "because" : nil)
        (erasure.deletedEvents, erasure.deletedDeadLetters, erasure.unreadDeadLetters) = (1 << 40, 2, 3)
        erasure.links = texts().map { Erasure.LateLink(anonymousId: $0, user: "u", time: noon) }
        if random.chance(50) { _ = erasure.note([20_000, -1]) }
        if random.chance(50) { erasure.repaired = [3..<4] }
        if random.chance(50) { erasure.lease = Erasure.Lease(owner: "w", until: noon) }
        let bytes = erasure.encoded
        #expect(try Erasure(project: Project.default, id: "x", encoded: bytes) == erasure)
        #expect(try Erasure(project: Project.default, id: "x", encoded: bytes).encoded == bytes)
        let exported = ExportedErasure(erasure)
        #expect((exported == nil) == (erasure.state == .failed) && exported.flatMap { ExportedErasure($0.text) } == exported)
        for _ in 0..<200 {
            var damaged = bytes
            damaged[random.below(damaged.count)] ^= UInt8(1 << random.below(8))
            #expect(throws: (any Error).self) { try Erasure(project: Project.default, id: "x", encoded: damaged) }
            // Sealed again, whatever it says: read or refused, and no trap.
            let content = Array(damaged.dropLast(8).prefix(random.chance(50) ? Int.max : random.below(damaged.count)))
            _ = try? Erasure(project: Project.default, id: "x", encoded: SegmentSeal.sealed(content))
        }
    }

    @Test func daysAreRemembered() {
        var erasure = Erasure(project: Project.default, id: "x", tombstone: Tombstone(salt: salt, until: noon), selection: nil)
        for day in [5, 3, 4, 9, 5, -1] as [Int64] { erasure.touch(day) }
        #expect(erasure.days == [-1..<0, 3..<6, 9..<10])
    }
}
