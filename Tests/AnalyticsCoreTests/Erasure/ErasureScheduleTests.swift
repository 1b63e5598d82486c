import TestSupport
import Testing

@testable import AnalyticsCore

/// Whatever is interrupted, and in whatever order: what is left in the end is what must be left.
@Suite(.timeLimit(.minutes(10)))
struct ErasureScheduleTests {
    /// The worker dies at each moment between two steps that write, before one takes effect and after it.
    @Test(arguments: 0..<60)
    func aWorkerThatDiesAnywhereLeavesNothingWrong(moment: Int) async throws {
        let rig = ErasureRig()
        let events = (0..<9).map { act("e\($0)", $0 % 3 == 0 ? "bob" : "ann-of-tests", at: $0 * 11_000) }
        try await write(events, to: rig.store)
        try await rig.settle()
        _ = try await rig.erasures().request(Selection(project: Project.default, userIds: ["ann-of-tests"]))
        rig.faults.crash(afterMoments: moment)
        _ = try? await rig.worker("first").pass()
        rig.restart()
        // What is marked is counted, and built, before another goes on.
        try await rig.settle()
        rig.advance(by: .seconds(121))
        try await rig.worker("second").pass()
        try await rig.expectExact(["e0", "e3", "e6"], "moment \(moment)")
        try await rig.finish()
        try await rig.expectExact(["e0", "e3", "e6"], "moment \(moment)")
        #expect(!rig.store.storedBytes.hold("ann-of-tests"), "moment \(moment)")
    }

    /// A worker dies, and before another goes on the same is asked for once more.
    @Test(arguments: 4..<30)
    func aSecondRequestForgetsNothingOfWhatTheFirstLeftUnmarked(moment: Int) async throws {
        let rig = ErasureRig()
        try await write((0..<4).map { act("e\($0)", $0 == 0 ? "bob" : "ann-of-tests", at: $0) }, to: rig.store)
        try await rig.settle()
        let selection = Selection(project: Project.default, userIds: ["ann-of-tests"])
        _ = try await rig.erasures().request(selection)
        rig.faults.crash(afterMoments: moment)
        _ = try? await rig.worker("first").pass()
        rig.restart()
        _ = try await rig.erasures("again").request(selection)
        rig.advance(by: .seconds(121))
        try await rig.worker("second").pass()
        try await rig.expectExact(["e0"], "moment \(moment)")
    }

    /// The flush has looked, the erasure's first pass runs, and the process dies at each moment of what the flush does then.
    @Test(arguments: 0..<24)
    func aFlushThatDiesAnywhereLeavesNothingWrong(moment: Int) async throws {
        let rig = ErasureRig()
        let store = rig.store
        try await write([act("x", "bob"), act("w", "ann-of-tests", at: 60)], to: store)
        try await rig.settle()
        let once = Once()
        store.beforeInsert {
            guard once.claim() else { return }
            _ = try? await rig.erasures().request(Selection(project: Project.default, userIds: ["ann-of-tests"]))
            _ = try? await rig.worker("first").pass()
            rig.faults.crash(afterMoments: moment)
        }
        rig.broker.enqueue([delivery([act("a", "ann-of-tests"), act("b", "bob", at: 1)])])
        try await rig.process()
        store.beforeInsert(nil)
        rig.restart()
        try await rig.settle()
        try await rig.process()
        try await rig.expectExact(["x", "b"], "moment \(moment)")
        #expect(rig.broker.dead.isEmpty)
        rig.advance(by: .seconds(700))
        try await rig.settle()
        try await rig.finish()
        #expect(!store.storedBytes.hold("ann-of-tests"), "moment \(moment)")
    }

    /// A link that waited in the queue is handed to an erasure, and the process dies at each moment of it.
    @Test(arguments: 0..<24, [false, true])
    func aFlushThatDiesWithALateLinkLeavesNothingWrong(moment: Int, isDone: Bool) async throws {
        let rig = ErasureRig()
        try await write([act("x", "bob"), act("w", "ann-of-tests", at: 60), act("d", nil, "device-of-ann", at: 90_000)], to: rig.store)
        try await rig.settle()
        _ = try await rig.erasures().request(Selection(project: Project.default, userIds: ["ann-of-tests"]))
        if isDone { try await rig.finish() }
        rig.faults.crash(afterMoments: moment)
        rig.broker.enqueue([delivery([act("i", "ann-of-tests", "device-of-ann", type: "$identify"), act("b", "bob", at: 1)])])
        try await rig.process()
        _ = try? await rig.worker("first").pass()
        rig.restart()
        try await rig.process()
        rig.advance(by: .seconds(700))
        try await rig.settle()
        try await rig.finish()
        try await rig.expectExact(["x", "b"], "moment \(moment)")
        #expect(!rig.store.storedBytes.hold("-of-ann") && !rig.store.storedBytes.hold("ann-of-tests"), "moment \(moment)")
    }

    /// The id of an event that is to be erased comes once more, with the same content or another. What the flush has marked is counted, with the old
    /// event, before that is deleted; and the process dies at each moment of what follows.
    @Test(arguments: 0..<24, [0, 120])
    func aFlushThatDiesWhileItFreesAnIdLosesNothing(moment: Int, shift: Int) async throws {
        let rig = ErasureRig()
        try await write([act("a", "ann-of-tests"), act("b", "bob")], to: rig.store)
        try await rig.settle()
        _ = try await rig.erasures().request(Selection(project: Project.default, userIds: ["ann-of-tests"]))
        let once = Once()
        rig.store.beforeRead { (name) throws(StoreError) in
            guard name == "event", once.claim() else { return }
            try? await rig.settle()
            rig.faults.crash(afterMoments: moment)
        }
        let later = [act("a", "ann-of-tests", at: shift, received: noon + .milliseconds(1)), act("c", "bob", at: 7_200)]
        rig.broker.enqueue([message(later, request: "again", reportRequested: true).body])
        try await rig.process()
        rig.store.beforeRead(nil)
        _ = try? await rig.worker("first").pass()
        rig.restart()
        try await rig.settle()
        try await rig.process()
        rig.advance(by: .seconds(700))
        try await rig.settle()
        try await rig.finish()
        try await rig.expectExact(["a", "b", "c"], "moment \(moment)")
        #expect(rig.broker.dead.isEmpty, "moment \(moment)")
    }

    /// Rows that later runs have replaced stay in a run for as long as it holds another minute.
    @Test func segmentsKeepNoRowOfTheErased() async throws {
        let rig = ErasureRig()
        var events = (0..<60).map { act("e\($0)", "user\($0 % 7)", at: $0 * 60) }
        events += [act("a", "ann-of-tests", at: 120), act("b", "ann-of-tests", "device-of-ann", type: "$identify", at: 180)]
        try await write(events, to: rig.store)
        try await rig.settle()
        // One run has the rows of both, and another the minutes.
        try await write([act("c", "bob", at: 121), act("d", "bob", at: 181)], to: rig.store)
        try await rig.builder().pass(everything: true)
        #expect(rig.store.storedBytes.hold("ann-of-tests"))
        _ = try await rig.erasures().request(Selection(project: Project.default, userIds: ["ann-of-tests"]))
        try await rig.finish()
        #expect(!rig.store.storedBytes.hold("ann-of-tests"))
        try await rig.expectExact(Set((0..<60).map { "e\($0)" } + ["c", "d"]))
    }

    /// A builder has read events, then they are erased, then it writes what it has read; on a day that has a segment, or none.
    @Test(arguments: 0..<4, [false, true])
    func aBuilderThatHasReadTheErasedPutsNothingInPlace(write number: Int, hasSegment: Bool) async throws {
        let rig = ErasureRig()
        let store = rig.store
        try await write((0..<8).map { act("e\($0)", $0 % 2 == 0 ? "bob" : "ann-of-tests", at: $0 * 60) }, to: store)
        try await roller(store).finish()
        if hasSegment {
            try await rig.builder().finish()
            try await write([act("e8", "bob", at: 61), act("e9", "bob", at: 62)], to: store)
        }
        let (writes, once) = (Counting(), Once())
        store.beforeHead {
            guard writes.next() > number, once.claim() else { return }
            _ = try? await rig.erasures().request(Selection(project: Project.default, userIds: ["ann-of-tests"]))
            _ = try? await rig.worker("first").pass()
        }
        _ = try? await rig.builder().pass(everything: true)
        store.beforeHead(nil)
        if once.claim() { _ = try await rig.erasures().request(Selection(project: Project.default, userIds: ["ann-of-tests"])) }
        try await rig.finish()
        #expect(!store.storedBytes.hold("ann-of-tests"), "write \(number)")
        try await rig.expectExact(Set(["e0", "e2", "e4", "e6"]).union(hasSegment ? ["e8", "e9"] : []), "write \(number)")
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func anyScheduleEndsWithWhatMustBeLeft(seed: UInt64) async throws {
        var schedule = ErasureSchedule(seed)
        try await schedule.run()
    }
}

/// Events, erasures, redeliveries, crashes, workers, rollers and builders in an order that a seed decides.
private struct ErasureSchedule {
    private let seed: UInt64
    private let rig = ErasureRig()
    private var random: Seeded
    private var next = 0
    private var sent: [Event] = []
    private var late = [5, 4]
    private var requested: [(selection: Selection, until: Timestamp)] = []
    private var workers: [ErasureWorker]

    init(_ seed: UInt64) {
        self.seed = seed
        random = Seeded(seed)
        workers = [rig.worker("a"), rig.worker("b")]
    }

    private static func user(_ number: Int) -> String { "person-\(number)-of-tests" }

    /// Each device is one user's, from the beginning on.
    private static func device(_ number: Int) -> String { "device-\(number)" }

    private func identity(_ number: Int) -> Event {
        act("i\(number)", Self.user(number / 2), Self.device(number), type: "$identify", at: -number * 40_000, received: rig.now)
    }

    mutating func run() async throws {
        let identities = (0..<4).map { identity($0) }
        sent += identities
        rig.broker.enqueue([delivery(identities)])
        try await rig.process()
        for _ in 0..<8 {
            rig.advance(by: .seconds(1 + random.below(90)))
            try await round()
        }
        rig.restart()
        try await rig.process()
        try await rig.finish()
        let left = sent.filter { event in !requested.contains { covers($0, event) } }
        try await rig.expectExact(Set(left.map(\.id)), "seed \(seed)")
        #expect(rig.broker.dead.isEmpty, "seed \(seed)")
        let bytes = rig.store.storedBytes
        for user in (0..<4).map(Self.user) {
            let isLeft = left.contains { $0.userId == user }
            #expect(bytes.hold(user) == isLeft, "seed \(seed): \(user)")
        }
        let engine = QueryEngine(store: rig.store, cache: UnboundedCache(), gate: QueryGate())
        let query = TopQuery(Selection(project: Project.default), by: .userId, limit: 10)
        let users = Dictionary(grouping: left, by: \.userId).mapValues { Int64($0.count) }
        let top = try await engine.top(query).answer
        #expect(top.items.count == users.count, "seed \(seed): \(top.items)")
    }

    private mutating func round() async throws {
        var news: [Event] = []
        for _ in 0..<random.below(6) { news.append(event()) }
        // Those of the last user come at any time.
        if random.chance(30), let number = late.popLast() { news.append(identity(number)) }
        sent += news
        if !news.isEmpty { rig.broker.enqueue([delivery(news)]) }
        // Some come once more: their acknowledgement was lost.
        if random.chance(40), let again = sent.randomElement(using: &random) { rig.broker.enqueue([delivery([again])]) }
        let request = random.chance(35) ? selection() : nil
        let worker = workers[random.below(2)]
        if let request {
            requested.append((request, rig.now))
            if random.chance(50) {
                // While a flush is between its two looks.
                let (rig, once, isDone) = (self.rig, Once(), Flag())
                rig.store.beforeInsert {
                    guard once.claim() else { return }
                    isDone.isTaken = (try? await rig.erasures("x\(rig.now.milliseconds)-").request(request)) != nil
                    _ = try? await worker.pass()
                }
                try await process()
                rig.store.beforeInsert(nil)
                if !isDone.isTaken { _ = try await rig.erasures("x\(rig.now.milliseconds)-").request(request) }
            } else {
                _ = try await rig.erasures("x\(rig.now.milliseconds)-").request(request)
            }
        }
        try await process()
        try await work(worker)
        if random.chance(60) { try await rig.settle() }
        if random.chance(20) { rig.advance(by: .seconds(3_700)) }
    }

    private mutating func process() async throws {
        if random.chance(40) { rig.faults.crash(afterMoments: random.below(14)) }
        try await rig.process()
        revive()
    }

    private mutating func work(_ worker: ErasureWorker) async throws {
        if random.chance(50) { rig.faults.crash(afterMoments: random.below(40)) }
        _ = try? await worker.pass()
        revive()
    }

    private mutating func revive() {
        if rig.faults.hasCrashed { workers = [rig.worker("a\(random.below(1_000))"), rig.worker("b\(random.below(1_000))")] }
        rig.restart()
    }

    private mutating func event() -> Event {
        next += 1
        let user = random.chance(50) ? Self.user(random.below(4)) : nil
        let device = random.chance(50) ? Self.device(random.below(7)) : nil
        return act(
            "e\(next)", user, device, type: random.chance(50) ? "view" : "order",
            at: random.chance(40) ? random.below(3) * 60 : random.below(200_000), received: rig.now)
    }

    /// Users are erased once, so that their devices are known: another request is the same erasure, or finds no device any more.
    private mutating func selection() -> Selection {
        var selection = Selection(project: Project.default)
        let user = Self.user(random.below(4))
        if random.chance(60), !requested.contains(where: { $0.selection.userIds == [user] }) {
            selection.userIds = [user]
        } else {
            selection.types = [random.chance(50) ? "view" : "order"]
            if random.chance(50) { selection.anonymousIds = [Self.device(random.below(7))] }
            selection.from = noon + .seconds(random.below(100_000))
        }
        return selection
    }

    private func covers(_ erasure: (selection: Selection, until: Timestamp), _ event: Event) -> Bool {
        let selection = erasure.selection
        guard event.receivedAt <= erasure.until, selection.from.map({ event.timestamp >= $0 }) ?? true else { return false }
        guard selection.types.isEmpty || selection.types.contains(event.type) else { return false }
        guard selection.anonymousIds.isEmpty || event.anonymousId.map(selection.anonymousIds.contains) ?? false else { return false }
        guard let user = selection.userIds.first else { return true }
        if let own = event.userId { return own == user }
        return sent.contains { link in
            link.type == "$identify" && link.userId == user && link.anonymousId == event.anonymousId && link.receivedAt <= erasure.until
        }
    }
}
