import AnalyticsAPI
import AnalyticsJSON
import Foundation
import TestSupport
import Testing

@testable import AnalyticsCore

/// Answers with a proof, on every store: asked over HTTP, verified on the store.
@Suite("Proofs", .timeLimit(.minutes(5)))
struct ProofContractTests {
    /// The moment of all questions, and of all events' storing.
    private static let now = noon + .seconds(86_400)

    private struct Desk {
        var store: any Store

        func ask(_ uri: String) async throws -> [UInt8] { try await Asked(store: store, now: ProofContractTests.now).ask(uri) }

        func prove(_ question: String) async throws -> [UInt8] {
            if let (path, body) = question.cutUTF8(atFirst: " ") { return try await ask("\(path)?explain=proof \(body)") }
            return try await ask(question + (question.contains("?") ? "&" : "?") + "explain=proof")
        }

        func verify(_ text: [UInt8]) async throws -> ProofVerdict {
            try await ProofVerifier(store: store, gate: QueryGate()).verify(text)
        }

        @discardableResult
        func write(_ events: [StoredEvent], at time: Timestamp = ProofContractTests.now) async throws -> [InsertOutcome] {
            let outcomes = try await store.insert(events)
            var marks = BucketMarks(at: time)
            for (event, outcome) in zip(events, outcomes) { marks.touch(event, outcome) }
            try await marks.write(to: store)
            return outcomes
        }

        func roll() async throws {
            try await Roller(store: store, logger: quiet).finish()
            try await SegmentBuilder(store: store, clock: .fixed(ProofContractTests.now), logger: quiet).finish()
        }
    }

    private func with(_ backend: StoreBackend, _ body: (Desk) async throws -> Void) async throws {
        try await withStore(backend) { store in try await body(Desk(store: store)) }
    }

    private func event(
        _ id: String, _ type: String = "view", at time: Timestamp = noon, userId: String? = nil, anonymousId: String? = nil,
        plan: Int = 0, again: Bool = false
    ) -> StoredEvent {
        stored(
            id, project: "default", type: type, at: time, data: #"{"plan":"p\#(plan)","amount":\#(plan).5}"#, userId: userId,
            anonymousId: anonymousId, ingestID: again ? "again-\(id)" : nil)
    }

    // MARK: What changes

    @Test("late events change an answer, and are named with their minute, number and cause", arguments: StoreBackend.available)
    func late(backend: StoreBackend) async throws {
        try await with(backend) { desk in
            try await desk.write([event("a"), event("b", at: noon + .seconds(60))])
            try await desk.roll()
            let text = try await desk.prove("/api/v1/events/counts?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z")
            let before = try await desk.verify(text)
            #expect(before.holds && before.comparison == ProofComparison())

            try await desk.write([event("c"), event("d", at: noon + .seconds(3600))])
            try await desk.roll()
            let verdict = try await desk.verify(text)
            #expect(!verdict.holds && verdict.totals == ("2", "4"))
            #expect(verdict.comparison.days == [noon.day])
            let minutes = verdict.comparison.minutes
            #expect(minutes.map(\.minute) == [noon.minute, noon.minute + 60])
            #expect(minutes.map(\.difference) == [1, 1] && minutes.map(\.causes) == [.late, .late])
            #expect(minutes.map(\.from) == [1, 0] && minutes.map(\.to) == [2, 1])
            #expect(minutes[0].until == noon)

            // Outside of the range, and beside what is selected.
            let other = try await desk.prove("/api/v1/events/counts?type=order&from=2026-03-01T00:00:00Z&to=2026-03-01T13:00:00Z")
            try await desk.write([event("e"), event("f", at: noon + .seconds(7200))])
            let held = try await desk.verify(other)
            #expect(held.holds && held.comparison.minutes.map(\.minute) == [noon.minute])
        }
    }

    @Test("duplicates, redeliveries and rebuilds change versions and no answer", arguments: StoreBackend.available)
    func harmless(backend: StoreBackend) async throws {
        try await with(backend) { desk in
            try await desk.write([event("a", userId: "ann"), event("b", userId: "bob")])
            try await desk.roll()
            let text = try await desk.prove("/api/v1/analytics/uniques?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z")
            #expect(try await desk.write([event("a", again: true)]) == [.duplicate(heldAt: noon)])
            try await desk.roll()
            #expect(try await desk.write([event("b")]) == [.redelivered])
            var verdict = try await desk.verify(text)
            #expect(verdict.holds && verdict.comparison.minutes.first?.causes == [.duplicate, .redelivery])
            #expect(verdict.comparison.minutes.first?.difference == 0)
            _ = try await Rebuild(store: desk.store, roller: Roller(store: desk.store, logger: quiet)).run()
            verdict = try await desk.verify(text)
            #expect(verdict.holds && verdict.comparison.minutes.first?.causes.contains(.rebuild) == true)
        }
    }

    @Test("who is who changes an answer about users", arguments: StoreBackend.available)
    func identities(backend: StoreBackend) async throws {
        try await with(backend) { desk in
            try await desk.write([event("a", userId: "ann"), event("b", anonymousId: "d1")])
            try await desk.roll()
            let text = try await desk.prove("/api/v1/analytics/uniques?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z")
            // After the range.
            try await desk.write([event("i", "$identify", at: noon + .seconds(80_000), userId: "ann", anonymousId: "d1")])
            try await desk.roll()
            let verdict = try await desk.verify(text)
            #expect(!verdict.holds && verdict.totals == ("2", "1") && verdict.haveIdentitiesChanged)
            #expect(verdict.comparison.minutes.isEmpty)
        }
    }

    @Test(
        "below the watermark counts are as their rollups say, and questions about users cannot be told", arguments: StoreBackend.available)
    func expired(backend: StoreBackend) async throws {
        try await with(backend) { desk in
            try await desk.write([event("a", userId: "ann"), event("b", at: noon + .seconds(60))])
            try await desk.roll()
            let range = "from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"
            let (counts, users) = (
                try await desk.prove("/api/v1/events/counts?\(range)"), try await desk.prove("/api/v1/analytics/uniques?\(range)")
            )
            try await desk.store.createRecord(of: "default", retentionDays: 1, at: Self.now)
            try await desk.store.raiseWatermark(of: "default", to: noon + .seconds(60))
            #expect(try await desk.store.deleteExpiredEvents(of: "default", limit: 10) == 1)
            let verdict = try await desk.verify(counts)
            #expect(verdict.holds && verdict.watermark == noon + .seconds(60))
            await #expect(throws: ExpiredRangeError.self) { try await desk.verify(users) }
        }
    }

    @Test("what rollups and segments say is not believed: the events are counted")
    func wrongRollups() async throws {
        try await with(.memory) { desk in
            try await desk.write([event("a", userId: "ann"), event("b", userId: "bob")])
            try await desk.roll()
            let range = "from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"
            let (counts, users) = (
                try await desk.prove("/api/v1/events/counts?\(range)"), try await desk.prove("/api/v1/analytics/uniques?\(range)")
            )
            // As no service does it: nothing is marked.
            try #require(desk.store as? MemoryStore).removeEvent("default", "b")
            for text in [counts, users] {
                let verdict = try await desk.verify(text)
                #expect(!verdict.holds && verdict.totals == ("2", "1") && verdict.comparison == ProofComparison())
            }
        }
    }

    @Test("what is marked while an answer is computed is named as changed")
    func meanwhile() async throws {
        try await with(.memory) { desk in
            try await desk.write([event("a", userId: "ann")])
            try await desk.roll()
            let store = try #require(desk.store as? MemoryStore)
            let late = event("b", userId: "bob")
            store.beforeRead { (name) async throws(StoreError) in
                guard name == "segmentBlobs" else { return }
                store.beforeRead(nil)
                // What segments are read for is decided by then.
                _ = try await store.insert([late])
                var marks = BucketMarks()
                marks.touch(late, .stored)
                try await marks.write(to: store)
            }
            let text = try await desk.prove("/api/v1/analytics/uniques?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z")
            let verdict = try await desk.verify(text)
            #expect(!verdict.holds && verdict.totals == ("1", "2"))
            #expect(verdict.comparison.minutes.map(\.minute) == [noon.minute])
        }
    }

    // MARK: Where it was read

    @Test("a proof says what was read from rollups, segments and events, and what was still known")
    func read() async throws {
        try await with(.memory) { desk in
            try await desk.write([event("a", userId: "ann"), event("b", at: noon - .seconds(86_400 * 3))])
            try await desk.roll()
            try await desk.write([event("c")])
            let range = "from=2026-02-26T00:00:00Z&to=2026-03-02T00:00:00Z"
            let counts = try await proof(desk.prove("/api/v1/events/counts?\(range)"))
            #expect(
                counts.read == ["day.rollup": 1, "day.finer": 1, "hour.finer": 1, "minute.events": 1], "\(counts.read)")
            #expect(counts.value.days.map(\.version).count == 2 && counts.value.identities == nil)
            #expect(counts.value.days.last?.minutes?[12 * 60] == 2)
            let users = try await proof(desk.prove("/api/v1/analytics/uniques?\(range)"))
            #expect(users.read == ["segment": 1, "events": 1], "\(users.read)")
            #expect(users.value.identities == IdentityMap.empty.digest)
            // The parts that are left: the question as it was understood.
            #expect(users.value.question.hasPrefix("/api/v1/analytics/uniques?from=2026-02-26T00:00:00"))
            #expect(users.value.question.hasSuffix("tz=UTC"), "\(users.value.question)")
        }
    }

    @Test("a proof of a question that is a JSON object names it with its range and zone")
    func body() async throws {
        try await with(.memory) { desk in
            try await desk.write([event("a", userId: "ann")])
            let asked = #"/api/v1/analytics/retention {"periods":2,"maxAge":7,"interval":"day","filters":{"types":["view"]}}"#
            let found = try await proof(desk.prove(asked))
            let settled =
                #"/api/v1/analytics/retention {"filters":{"types":["view"]},"from":"2026-03-01T00:00:00.000Z","interval":"day","periods":2,"#
                + #""to":"2026-03-03T00:00:00.000Z","tz":"UTC"}"#
            #expect(found.value.question == settled, "\(found.value.question)")
        }
    }

    @Test("a proof of the users behind a number names the question that the number is of as it was understood")
    func people() async throws {
        try await with(.memory) { desk in
            try await desk.write([event("a", userId: "ann"), event("b", userId: "bob")])
            let asked = #"/api/v1/analytics/people {"question":"uniques","limit":1,"parameters":{"type":["view","ä&b"],"maxAge":7}}"#
            let text = try await desk.prove(asked)
            let settled =
                #"/api/v1/analytics/people {"limit":1,"parameters":{"from":"2026-02-01T00:00:00.000Z","to":"2026-03-03T00:00:00.000Z","#
                + #""type":["ä&b","view"],"tz":"UTC"},"question":"uniques"}"#
            let question = try proof(text).value.question
            #expect(question == settled, "\(question)")
            try await desk.write([event("c", userId: "cat")])
            let verdict = try await desk.verify(text)
            #expect(!verdict.holds && verdict.totals == ("2", "3") && verdict.comparison.minutes.map(\.minute) == [noon.minute])
        }
    }

    private func proof(_ text: [UInt8]) throws -> (value: Proof, read: [String: Int]) {
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text)) as? [String: Any])
        let proof = try #require(object["proof"] as? [String: Any])
        let read = try #require(proof["read"] as? [String: Any])
        return (try Self.parsed(text), read["counts"] as? [String: Int] ?? [:])
    }

    /// Without its seal being checked.
    private static func parsed(_ text: [UInt8]) throws -> Proof {
        let found = try #require(Proof.digest(ofAnswer: text)?.proof)
        return try Proof(unchecked: found)
    }

    @Test("days that ranges share are counted once, also beyond those that are listed")
    func sharedDays() async throws {
        let store = MemoryStore()
        try await store.mark(.day, (0..<450).map { BucketKey(project: "default", index: noon.day - $0) })
        let record = ReadingRecord()
        func days(_ first: Int64, _ last: Int64) -> Range<Timestamp> {
            Timestamp(day: noon.day - first)..<Timestamp(day: noon.day - last + 1)
        }
        try await record.begin(days(440, 10), of: "default", in: store)
        try await record.begin(days(449, 0), of: "default", in: store)
        try await record.begin(days(445, 5), of: "default", in: store)
        let proof = Proof(of: "/x", project: "default", asOf: noon, answer: "", watermark: nil, zones: nil, record)
        #expect(proof.days.count == ReadingRecord.dayLimit && proof.earlier.count == 50)
        let comparison = try await ProofComparison(proof, record, in: store)
        #expect(comparison == ProofComparison())
    }

    @Test("a link that comes while an answer is computed is in it, or is named as changed", arguments: 1..<20)
    func linkMeanwhile(read number: Int) async throws {
        let store = MemoryStore()
        let desk = Desk(store: store)
        try await desk.write([event("a", userId: "ann"), event("b", anonymousId: "d1", plan: 1)])
        try await desk.roll()
        let reads = Counting()
        store.beforeRead { _ in
            guard reads.next() == number else { return }
            _ = try? await desk.write([event("i", "$identify", at: noon + .seconds(60), userId: "ann", anonymousId: "d1")])
        }
        let text = try await desk.prove("/api/v1/analytics/uniques?type=view&from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z")
        store.beforeRead(nil)
        let verdict = try await desk.verify(text)
        #expect(verdict.holds || verdict.comparison.minutes.map(\.minute) == [noon.minute + 1], "read \(number): \(verdict)")
    }

    @Test("a proof of many busy days is bounded, and can be read")
    func bounded() async throws {
        let store = MemoryStore()
        // 2 days more than are listed, and each minute of the newest has a version of two bytes.
        let days = (0..<402).map { BucketKey(project: "default", index: noon.day - $0) }
        try await store.mark(.day, days)
        let minutes = (0..<90 * 1440).map { BucketKey(project: "default", index: noon.day * 1440 + 1439 - Int64($0)) }
        for _ in 0..<2 { try await store.mark(.minute, minutes) }
        let record = ReadingRecord()
        let range = Timestamp(day: noon.day - 401)..<Timestamp(day: noon.day + 1)
        try await record.begin(range, of: "default", in: store)
        for _ in 0..<2_000 { record.add(events: [range]) }
        let proof = Proof(
            of: "/x?" + String(repeating: "q", count: 12_000), project: "default", asOf: noon, answer: "", watermark: nil, zones: nil,
            record)
        let key = Proof.newKey()
        let text = proof.text(record, key: key)
        #expect(text.count <= Proof.byteLimit)
        #expect(try Proof(text: text, key: key) == proof)
        #expect(proof.days.count == ReadingRecord.dayLimit && proof.earlier.count == 2)
        #expect(proof.days.last?.minutes?.allSatisfy { $0 == 2 } == true && proof.days.first?.minutes == nil)
    }

    // MARK: Who made it

    @Test("what was changed, cut or made elsewhere is refused", arguments: [StoreBackend.memory, .sqlite])
    func forged(backend: StoreBackend) async throws {
        try await with(backend) { desk in
            try await desk.write([event("a"), event("b", "order")])
            let text = try await desk.prove("/api/v1/analytics/topn?dimension=type&from=2026-03-01T00:00:00Z")
            let whole = String(decoding: text, as: UTF8.self)
            #expect(try await desk.verify(text).holds)
            // White space may change.
            let pretty = whole.replacing("{", with: "{\n ").replacing(",\"", with: ",\n  \"")
            #expect(try await desk.verify(Array(pretty.utf8)).holds)

            func fault(_ text: String) async throws -> ProofFault? {
                do {
                    _ = try await desk.verify(Array(text.utf8))
                    return nil
                } catch let fault as ProofFault {
                    return fault
                }
            }
            #expect(try await fault(whole.replacing(#""total":2"#, with: #""total":3"#)) == .otherAnswer)
            #expect(try await fault(whole.replacing(#""v":"#, with: #""v":1"#)) == .forged)
            #expect(try await fault(whole.replacing("dimension=type", with: "dimension=source")) == .forged)
            #expect(try await fault(String(whole.dropLast(9)) + "}") == .unreadable)
            #expect(try await fault("{\"total\":2}") == .unreadable)
            #expect(try await fault("[1]") == .unreadable)
            #expect(try await fault("") == .unreadable)
            try await with(.memory) { other in
                await #expect(throws: ProofFault.forged) { try await other.verify(text) }
            }
            var random = Seeded(7)
            for _ in 0..<200 {
                var bytes = text
                let place = random.below(bytes.count)
                bytes[place] ^= UInt8(1 << random.below(8))
                await #expect(throws: ProofFault.self) { try await desk.verify(bytes) }
            }
        }
    }

    // MARK: Any events

    @Test("whatever happens to the events, a proof holds exactly as long as the answer is the same", arguments: StoreBackend.available)
    func property(backend: StoreBackend) async throws {
        for seed in 0..<(backend == .memory ? 40 : backend == .sqlite ? 9 : 5) {
            try await with(backend) { desk in
                var random = Seeded(UInt64(seed) &+ 41)
                try await run(desk, &random)
            }
        }
    }

    private static let questions = [
        "/api/v1/events/counts?from=2026-02-27T06:00:00Z&to=2026-03-01T12:01:30Z", "/api/v1/events/counts?groupBy=source",
        "/api/v1/events/counts?type=t0&limit=1",
        "/api/v1/analytics/timeseries?from=2026-02-27T00:00:00Z&to=2026-03-02T00:00:00Z&groupBy=type&limit=1&compare=previous",
        "/api/v1/analytics/timeseries?from=2026-02-27T00:00:00Z&to=2026-03-02T00:00:00Z&metric=users&tz=Asia/Kathmandu",
        "/api/v1/analytics/timeseries?metric=sum(data.amount)&interval=week&data.plan=p1&data.plan=p2",
        "/api/v1/analytics/topn?dimension=data.plan&metric=users&n=2", "/api/v1/analytics/topn?dimension=anonymousId",
        "/api/v1/analytics/topn?dimension=type&n=1&source=web", "/api/v1/analytics/uniques?interval=hour&from=2026-02-28T00:00:00Z",
        "/api/v1/analytics/sessions?gapMinutes=1&page=data.plan&from=2026-02-28T12:00:00Z", "/api/trends?event=t0&event=t1",
        "/api/v1/analytics/lifecycle?from=2026-02-27T00:00:00Z&tz=America/New_York", "/api/v1/analytics/stickiness?type=t0&type=t1",
        "/api/v1/analytics/paths?start=t0&groupBy=data.plan", "/api/v1/analytics/paths?end=t1&windowSeconds=86400&limit=1",
        #"/api/v1/analytics/funnels {"steps":[{"types":["t0"]},{"types":["t1","t2"],"data":{"plan":["p1","p2","ä\"\\"]}}],"groupBy":"data.plan"}"#,
        #"/api/v1/analytics/funnels {"steps":[{"types":["t0"]},{"types":["t1"]}],"order":"any","windowSeconds":60,"from":"2026-02-27T00:00:00Z"}"#,
        #"/api/v1/analytics/retention {"first":{"types":["t0"]},"firstEver":true,"mode":"unbounded","filters":{"data":{"amount":[1.5,2.5,null]}}}"#,
        #"/api/v1/analytics/retention {"periods":3,"interval":"week","tz":"Asia/Kathmandu"}"#,
        #"/api/funnels {"steps":["t0","t1"],"window_seconds":3600}"#,
        #"/api/v1/analytics/people {"question":"uniques","parameters":{"from":"2026-02-26T00:00:00Z","type":["t0","t1"],"bots":"include"},"limit":2}"#,
        #"/api/v1/analytics/people {"question":"lifecycle","parameters":{"from":"2026-02-26T00:00:00Z"},"bucket":"2026-02-28T00:00:00Z","state":"new"}"#,
        #"/api/v1/analytics/people {"question":"stickiness","intervals":2,"atLeast":true}"#,
        #"/api/v1/analytics/people {"question":"paths","parameters":{"start":"t0"},"step":1,"limit":1}"#,
        #"/api/v1/analytics/people {"question":"funnels","body":{"steps":[{"types":["t0"]},{"types":["t1"]}]},"step":2,"dropped":true}"#,
        #"/api/v1/analytics/people {"question":"retention","body":{"from":"2026-02-27T00:00:00Z","periods":2},"cohort":"2026-02-27T00:00:00Z","period":1}"#,
    ]

    private func run(_ desk: Desk, _ random: inout Seeded) async throws {
        var ids = 0
        func events(_ count: Int, _ random: inout Seeded) -> [StoredEvent] {
            (0..<count).map { _ in
                ids += 1
                let time = noon - .seconds(86_400 * random.below(4) + 60 * random.below(3) + 25 * random.below(3))
                let isLink = random.chance(8)
                return event(
                    "e\(ids)", isLink ? "$identify" : "t\(random.below(3))", at: time,
                    userId: isLink || random.chance(40) ? "u\(random.below(3))" : nil,
                    anonymousId: isLink || random.chance(60) ? "a\(random.below(3))" : nil, plan: random.below(4))
            }
        }
        var written = events(20 + random.below(40), &random)
        try await desk.write(written)
        if random.chance(70) { try await desk.roll() }
        for _ in 0..<4 {
            let uri = Self.questions[random.below(Self.questions.count)]
            let before = try await desk.ask(uri)
            let text = try await desk.prove(uri)
            #expect(try await desk.verify(text).holds, "\(uri)")
            var causes: BucketCauses = []
            for _ in 0..<random.below(3) {
                switch random.below(4) {
                case 0:
                    let more = events(1 + random.below(3), &random)
                    written += more
                    try await desk.write(more)
                    causes.insert(.late)
                case 1:
                    let one = written[random.below(written.count)].event
                    try await desk.write([event(one.id, at: one.timestamp, again: true)])
                    causes.insert(.duplicate)
                case 2:
                    try await desk.write([written[random.below(written.count)]])
                    causes.insert(.redelivery)
                default:
                    guard let memory = desk.store as? MemoryStore else { continue }
                    let one = written.remove(at: random.below(written.count)).event
                    memory.removeEvent(one.project, one.id)
                    var marks = BucketMarks()
                    marks.touch(BucketKey(project: one.project, index: one.timestamp.minute), causes: .erasure)
                    try await marks.write(to: memory)
                    causes.insert(.erasure)
                }
                if random.chance(50) { try await desk.roll() }
            }
            let isSame = try await desk.ask(uri) == before
            let verdict = try await desk.verify(text)
            #expect(verdict.holds == isSame, "\(uri): \(causes.names)")
            // What changed an answer is told.
            #expect(verdict.holds || verdict.haveIdentitiesChanged || !verdict.comparison.minutes.isEmpty, "\(uri): \(causes.names)")
            for minute in verdict.comparison.minutes {
                #expect(!minute.causes.isEmpty && minute.causes.subtracting([.late, .duplicate, .redelivery, .erasure]).isEmpty)
            }
        }
    }

    @Test("counted in shares of the actors, users are the same")
    func shares() async throws {
        try await with(.memory) { desk in
            var random = Seeded(5)
            let events = (0..<60).map { index in
                let isLink = random.chance(15)
                return event(
                    "e\(index)", isLink ? "$identify" : "view", at: noon + .seconds(index),
                    userId: isLink || random.chance(40) ? "u\(random.below(9))" : nil,
                    anonymousId: isLink || random.chance(60) ? "a\(random.below(9))" : nil)
            }
            try await desk.write(events)
            let store = try #require(desk.store as? MemoryStore)
            let map = try await IdentityIndex(store: store, gate: QueryGate(), isFromEvents: true).map(of: "default", for: .staying)
            #expect(!map.isEmpty)
            let range = noon..<noon + .seconds(60)
            let query = TimeseriesQuery(
                Selection(project: "default", from: range.lowerBound, to: range.upperBound), metric: .users, starts: [noon])
            let reader = RowReader(store: store, selection: query.selection, range: range, identities: map, source: .events(nil))
            let expected = try await reader.read(into: RowTimeseriesTally(query)).answer()
            for shares in [2, 7, 64] as [UInt64] {
                #expect(try await reader.recount(into: RowTimeseriesTally(query), shares: shares).answer() == expected)
            }
        }
    }
}
