import AnalyticsJSON
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsCore

/// It is noon of a day.
struct VisitorIdentifierTests {
    private let store = MemoryStore()

    private final class Time: Sendable {
        let moment = Mutex(noon)

        var clock: WallClock { WallClock { [self] in moment.withLock { $0 } } }

        func set(_ time: Timestamp) { moment.withLock { $0 = time } }
    }

    private static let midnight = Timestamp(day: noon.day + 1)

    private func identifier(_ time: Time = Time()) -> VisitorIdentifier {
        VisitorIdentifier(store: store, clock: time.clock)
    }

    private func id(
        _ visitors: VisitorIdentifier, project: ProjectID = "p", address: String? = "192.0.2.7", agent: String? = "a", source: String = "s",
        isNamed: Bool = false, at time: Timestamp = noon
    ) -> String? {
        visitors.id(
            project: project, address: address.flatMap { ClientAddress($0) }, isNamed: isNamed, userAgent: agent, source: source, at: time)
    }

    @Test func everyPartOfAVisitCounts() async throws {
        for project in ["p", "q"] as [ProjectID] { try await store.setVisitorIds(of: project, to: true) }
        let visitors = identifier()
        try await visitors.take(store.projectRecords())
        let first = try #require(id(visitors))
        #expect(VisitorID.isOne(first) && id(visitors) == first && id(visitors, at: Self.midnight - .milliseconds(1)) == first)
        let others = [
            id(visitors, project: "q"), id(visitors, address: "192.0.2.8"), id(visitors, address: "2001:db8::7"), id(visitors, agent: nil),
            id(visitors, agent: ""), id(visitors, agent: "as", source: ""), id(visitors, agent: "", source: "as"),
            id(visitors, source: "t"), id(visitors, isNamed: true),
        ]
        #expect(Set(others.compactMap(\.self) + [first]).count == others.count + 1)
        #expect(id(visitors, address: nil) == nil)
        // Neither stands in what is made of them.
        #expect(!first.contains("192.0.2") && store.records.allSatisfy(\.hasVisitorIds))
    }

    @Test func onlyProjectsThatSwitchItOnHaveThem() async throws {
        let visitors = identifier()
        #expect(id(visitors) == nil && !visitors.isOn(for: "p"))
        try await visitors.take(store.projectRecords())
        #expect(store.visitorSecrets.isEmpty, "nobody needs a secret")
        try await store.setVisitorIds(of: "p", to: true)
        #expect(id(visitors) == nil)
        try await visitors.take(store.projectRecords())
        #expect(id(visitors) != nil && id(visitors, project: "q") == nil)
        try await store.setVisitorIds(of: "p", to: false)
        try await visitors.take(store.projectRecords())
        #expect(id(visitors) == nil)
    }

    @Test func allAPIsMakeTheSame() async throws {
        try await store.setVisitorIds(of: "p", to: true)
        let visitors = (0..<4).map { _ in identifier() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for each in visitors { group.addTask { try await each.take(store.projectRecords()) } }
            try await group.waitForAll()
        }
        #expect(Set(visitors.map { id($0) }).count == 1 && id(visitors[0]) != nil)
    }

    @Test func aDayHasASecretOfItsOwnWhichIsThereBeforeAndGoneAfterwards() async throws {
        try await store.setVisitorIds(of: "p", to: true)
        let time = Time()
        let visitors = identifier(time)
        try await visitors.take(store.projectRecords())
        let (first, secret) = (id(visitors), store.visitorSecrets[noon.day])
        #expect(first != nil && secret?.count == VisitorIdentifier.secretBytes && store.visitorSecrets.count == 1)
        #expect(id(visitors, at: Self.midnight) == nil)
        time.set(Self.midnight - .seconds(3_000))
        try await visitors.take(store.projectRecords())
        let next = id(visitors, at: Self.midnight)
        #expect(next != nil && next != first && id(visitors) == first && store.visitorSecrets.count == 2)
        // An API whose clock is behind asks for the day before.
        time.set(Self.midnight + .seconds(3_599))
        try await visitors.take(store.projectRecords())
        #expect(store.visitorSecrets[noon.day] == secret && id(visitors) == nil && id(visitors, at: Self.midnight) == next)
        time.set(Self.midnight + .seconds(3_600))
        try await visitors.take(store.projectRecords())
        #expect(Set(store.visitorSecrets.keys) == [noon.day + 1])
        // Whoever asks again gets another one.
        let late = Time()
        let other = identifier(late)
        try await other.take(store.projectRecords())
        #expect(id(other) != nil && id(other) != first)
    }

    @Test func theLastSecretsCountWhileTheStoreIsAway() async throws {
        try await store.setVisitorIds(of: "p", to: true)
        let time = Time()
        let visitors = identifier(time)
        time.set(Self.midnight - .seconds(60))
        try await visitors.take(store.projectRecords())
        let next = id(visitors, at: Self.midnight + .seconds(7_200))
        time.set(Self.midnight + .seconds(7_200))
        store.faults.down([.read])
        await #expect(throws: StoreError.self) { try await visitors.take(store.projectRecords()) }
        #expect(next != nil && id(visitors, at: Self.midnight + .seconds(7_200)) == next)
    }

    // MARK: At ingest

    private func collected(_ body: String, isOn: Bool = true, address: String? = "192.0.2.7") async throws -> [Event] {
        if isOn { try await store.setVisitorIds(of: "p", to: true) }
        let visitors = identifier()
        try await visitors.take(store.projectRecords())
        let broker = MemoryBroker()
        let collector = Collector(
            publisher: broker, limits: EventLimits(), horizons: IngestHorizons(firstRetentionDays: 0),
            visitors: visitors, clock: .fixed(noon), ids: .counting())
        _ = try await collector.submit(
            IngestRequest(
                project: "p", format: NativeFormat.batch, body: PaddedBytes(body),
                origin: RequestOrigin(address: "192.0.2.0", userAgent: "a"),
                clientAddress: address.flatMap { ClientAddress($0) }))
        let messages = broker.bodies
        #expect(messages.allSatisfy { !String(decoding: $0, as: UTF8.self).contains("192.0.2.7") }, "the whole address goes nowhere")
        return try messages.flatMap { try EnvelopeDecoder().decode($0).events }
    }

    private static func body(_ members: String...) -> String {
        "[" + members.map { #"{"type":"t","source":"s","data":{}\#($0)}"# }.joined(separator: ",") + "]"
    }

    @Test func anEventWithoutAUserHasOneAndNoOther() async throws {
        let events = try await collected(
            Self.body("", #","userId":"u""#, #","anonymousId":"d""#, #","userId":"u","anonymousId":"d""#, #","sessionId":"x""#))
        #expect(events.map { $0.visitorId != nil } == [true, false, false, false, true])
        #expect(events[0].visitorId == events[4].visitorId)
        #expect(try await collected(Self.body(""), isOn: true, address: nil).map(\.visitorId) == [nil])
    }

    @Test func withoutTheSwitchNoneHasOne() async throws {
        #expect(try await collected(Self.body(""), isOn: false).map(\.visitorId) == [nil])
    }

    @Test func aServerSaysForWhomItSends() async throws {
        let events = try await collected(
            #"[{"type":"t","source":"s","data":{}},{"type":"t","source":"s","data":{"ip":"198.51.100.1"}},"#
                + #"{"type":"t","source":"s","data":{"ip":"198.51.100.1"}},{"type":"t","source":"s","data":{"ip":"198.51.100.1","userAgent":"b"}},"#
                + #"{"type":"t","source":"s","data":{"userAgent":"b"}},{"type":"t","source":"s","data":{"ip":"nobody"}}]"#)
        let ids = events.map(\.visitorId)
        #expect(ids[1] == ids[2] && ids[5] == nil && Set(ids.compactMap(\.self)).count == 4)
    }

    @Test func aClientCannotSetIt() async throws {
        let events = try await collected("[" + #"{"type":"t","source":"s","data":{},"visitorId":"00112233445566778899aabbccddeeff"}"# + "]")
        #expect(events.isEmpty)
    }

    @Test func itTellsNoConflict() {
        var event = sample("a")
        let fingerprint = event.fingerprint
        event.visitorId = "00112233445566778899aabbccddeeff"
        #expect(event.fingerprint == fingerprint)
    }

    @Test(arguments: [
        "", "0011", "00112233445566778899aabbccddeefg", "00112233445566778899AABBCCDDEEFF", "00112233445566778899aabbccddeeff0",
    ])
    func whatIngestCannotHaveMadeIsRefused(text: String) {
        let body =
            #"{"v":1,"project":"p","request":"r","receivedAt":1,"events":[{"n":0,"id":"a","type":"t","source":"s","timestamp":1,"#
            + #""visitorId":"\#(text)"}]}"#
        #expect(throws: EnvelopeError.self) { try EnvelopeDecoder().decode(Array(body.utf8)) }
    }
}
