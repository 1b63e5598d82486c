import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

/// Decodes one body at noon.
func decode(
    _ body: [UInt8], as format: any IntakeFormat = NativeFormat.event, key: String? = nil, project: ProjectID = Project.default,
    limits: EventLimits = EventLimits(), horizon: IngestHorizon = IngestHorizon(), request: String = "req"
) throws(IngestError) -> EventDecoder.Output {
    let submitted = IngestRequest(project: project, format: format, body: PaddedBytes(body), idempotencyKey: key)
    var decoder = EventDecoder(limits: limits, horizon: horizon, ids: .counting("made"))
    return try decoder.decode(submitted, stamp: .init(receivedAt: noon, request: request))
}

func decode(
    _ body: String, as format: any IntakeFormat = NativeFormat.event, key: String? = nil, project: ProjectID = Project.default,
    limits: EventLimits = EventLimits(), horizon: IngestHorizon = IngestHorizon(), request: String = "req"
) throws(IngestError) -> EventDecoder.Output {
    try decode(Array(body.utf8), as: format, key: key, project: project, limits: limits, horizon: horizon, request: request)
}

struct Refused: CustomTestStringConvertible {
    var members: String
    var code: RejectionCode
    var field: String?
    var testDescription: String { "\(code.rawValue) \(members.prefix(60))" }

    init(_ members: String, _ code: RejectionCode, _ field: String? = nil) {
        (self.members, self.code, self.field) = (members, code, field)
    }
}

struct EventDecoderTests {
    private static let longest = String(repeating: "ä", count: 200)

    @Test(arguments: [
        Refused("", .invalidJSON), Refused("{", .invalidJSON), Refused(#"{"type":"t"}}"#, .invalidJSON), Refused("[]", .notAnObject),
        Refused("42", .notAnObject), Refused("null", .notAnObject), Refused(#""text""#, .notAnObject),
        Refused(#"{"type":"t","type":"t","source":"s","data":1}"#, .duplicateKey, "type"),
        Refused(#"{"type":"t","source":"s","data":{"a":1,"a":2}}"#, .duplicateKey, "data"),
        Refused(#"{"type":"t","source":"s","data":{"a\u0000":1}}"#, .nulInKey, "data"),
        Refused(#"{"type":"t","source":"s","data":1e400}"#, .numberOutOfRange, "data"),
        Refused(#"{"type":"t","source":"s","data":NaN}"#, .invalidJSON, "data"),
        Refused(#"{"source":"s","data":1}"#, .missingField, "type"), Refused(#"{"type":"t","data":1}"#, .missingField, "source"),
        Refused(#"{"type":"t","source":"s"}"#, .missingField, "data"),
        Refused(#"{"type":null,"source":"s","data":1}"#, .missingField, "type"),
        Refused(#"{"type":"t","source":"s","data":1,"extra":1}"#, .unknownField, "extra"),
        Refused(#"{"type":5,"source":"s","data":1}"#, .invalidType, "type"),
        Refused(#"{"id":{},"type":"t","source":"s","data":1}"#, .invalidType, "id"),
        Refused(#"{"type":"t","source":"s","data":1,"metadata":[]}"#, .invalidType, "metadata"),
        Refused(#"{"type":"t","source":"s","data":1,"userId":7}"#, .invalidType, "userId"),
        Refused(#"{"type":"t","source":"s","data":1,"anonymousId":7}"#, .invalidType, "anonymousId"),
        Refused(#"{"type":"t","source":"s","data":1,"anonymousId":"\#(longest)ä"}"#, .invalidValue, "anonymousId"),
        Refused(#"{"type":"t","source":"s","data":1,"anonymousId":""}"#, .invalidValue, "anonymousId"),
        Refused(#"{"type":"t","source":"s","data":1,"anonymousId":"\u0085"}"#, .invalidValue, "anonymousId"),
        Refused(#"{"type":"","source":"s","data":1}"#, .invalidValue, "type"),
        Refused(#"{"type":"t\n","source":"s","data":1}"#, .invalidValue, "type"),
        Refused(#"{"type":"t","source":"\u2028","data":1}"#, .invalidValue, "source"),
        Refused(#"{"type":"t","source":"s","data":1,"sessionId":"\u007f"}"#, .invalidValue, "sessionId"),
        Refused(#"{"type":"\#(longest)ä","source":"s","data":1}"#, .invalidValue, "type"),
        Refused(#"{"id":"\#(String(repeating: "i", count: 129))","type":"t","source":"s","data":1}"#, .invalidValue, "id"),
        Refused(#"{"type":"t","source":"s","data":1,"timestamp":"yesterday"}"#, .invalidTimestamp, "timestamp"),
        Refused(#"{"type":"t","source":"s","data":1,"timestamp":1.5}"#, .invalidTimestamp, "timestamp"),
        Refused(#"{"type":"t","source":"s","data":1,"timestamp":true}"#, .invalidTimestamp, "timestamp"),
        Refused(#"{"type":"t","source":"s","data":1,"timestamp":9223372036854775807}"#, .invalidTimestamp, "timestamp"),
        Refused(#"{"type":"t","source":"s","data":1,"timestamp":-62135596800001}"#, .invalidTimestamp, "timestamp"),
        Refused(#"{"type":"t","source":"s","data":1,"timestamp":"2026-03-01T13:00:00.001Z"}"#, .timestampInFuture, "timestamp"),
    ])
    func refuses(refused: Refused) throws {
        let output = try decode(refused.members)
        #expect(output.events.isEmpty && output.rejected.count == 1)
        #expect(output.rejected.first.first?.code == refused.code)
        #expect(output.rejected.first.first?.field == refused.field)
        #expect(output.rejected.first.first?.message.isEmpty == false)
    }

    @Test func takesWhatLiesExactlyOnTheLimits() throws {
        let text =
            #"{"id":"\#(String(repeating: "😀", count: 128))","type":"\#(Self.longest)","source":"\#(Self.longest)","#
            + #""timestamp":"2026-03-01T13:00:00Z","data":null,"correlationId":"\#(Self.longest)","userId":"\#(Self.longest)","#
            + #""anonymousId":"\#(Self.longest)"}"#
        let output = try decode(text)
        let event = try #require(output.events.first?.event, "\(output.rejected)")
        #expect(event.type == Self.longest && event.timestamp == noon + .seconds(3_600) && event.data?.text == "null")
        #expect(event.userId == Self.longest && event.anonymousId == Self.longest)
    }

    @Test func sizeIsCountedInBytesOfTheEventAsSent() throws {
        let shell = #"{"type":"t","source":"s","data":""}"#.utf8.count
        let event = { (bytes: Int) in #"{"type":"t","source":"s","data":"\#(String(repeating: "x", count: bytes - shell))"}"# }
        let limits = EventLimits(maximumEventBytes: 1_000)
        #expect(try decode(event(1_000), limits: limits).events.count == 1)
        #expect(try decode(event(1_001), limits: limits).rejected.first.first?.code == .eventTooLarge)
        let batch = try decode("[ \(event(1_000)) , \(event(1_001)) ]", as: NativeFormat.batch, limits: limits)
        #expect(batch.events.map(\.index) == [0] && batch.rejected.first.map(\.index) == [1])
    }

    @Test func depthCountsTheEventItself() throws {
        let nested = { (levels: Int) in String(repeating: "[", count: levels) + String(repeating: "]", count: levels) }
        #expect(try decode(#"{"type":"t","source":"s","data":\#(nested(31))}"#).events.count == 1)
        #expect(try decode(#"{"type":"t","source":"s","data":\#(nested(32))}"#).rejected.first.first?.code == .tooDeep)
        #expect(try decode(#"{"type":"t","source":"s","data":\#(nested(100_000))}"#).rejected.first.first?.code == .tooDeep)
    }

    @Test func bytesThatAreNoUTF8AreRefused() throws {
        for bytes in [[0xFF], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80]] as [[UInt8]] {
            let body = Array(#"{"type":"t","source":"s","data":""#.utf8) + bytes + Array("\"}".utf8)
            #expect(try decode(body).rejected.first.first?.code == .invalidUTF8)
        }
    }

    @Test func keepsDataAsItIs() throws {
        let data = #"{"$gt":1,"a.b":{"":[1,2.5,"\u00e4\n"]},"$where":"x"}"#
        let event = try #require(try decode(#"{"type":"t","source":"s", "data" : \#(data)}"#).events.first?.event)
        #expect(event.data?.text == #"{"$gt":1,"a.b":{"":[1,2.5,"ä\n"]},"$where":"x"}"#)
    }

    @Test func stampsWhatIsMissing() throws {
        let event = try #require(try decode(#"{"type":"t","source":"s","data":1}"#).events.first?.event)
        #expect(event.id == "made0" && event.timestamp == noon && event.clientTimestamp == nil)
        #expect(event.receivedAt == noon && event.ingestID == "req:0" && event.project == Project.default)
    }

    // MARK: Time

    @Test func whatIsTooOldDependsOnTheRetentionAndOnTheTimeThatIsClosed() throws {
        let day = Duration.seconds(86_400)
        let horizons = [
            IngestHorizon(retention: day), IngestHorizon(closedBefore: noon - day),
            IngestHorizon(retention: day, closedBefore: noon - day * 2), IngestHorizon(retention: day * 9, closedBefore: noon - day),
        ]
        let body = { (text: String) in #"{"type":"t","source":"s","data":1,"timestamp":"\#(text)"}"# }
        for horizon in horizons {
            #expect(try decode(body("2026-02-28T12:00:00Z"), horizon: horizon).events.count == 1)
            let rejected = try decode(body("2026-02-28T11:59:59.999Z"), horizon: horizon).rejected.first.first
            #expect(rejected?.code == .timestampTooOld && rejected?.field == "timestamp")
        }
        #expect(try decode(body("0001-01-01T00:00:00Z")).events.count == 1)
    }

    @Test(arguments: [IngestHorizon(), IngestHorizon(retention: .seconds(86_400))])
    func clocksAtBothEndsOfTimeAreRefusedAndNothingElse(horizon: IngestHorizon) throws {
        for (sentAt, timestamp) in [("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"), ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")] {
            let body = #"{"sentAt":"\#(sentAt)","events":[{"type":"t","source":"s","data":1,"timestamp":"\#(timestamp)"}]}"#
            let output = try decode(body, as: NativeFormat.batch, horizon: horizon)
            #expect(output.events.isEmpty && output.rejected.first.first?.field == "timestamp")
        }
    }

    // MARK: Ids

    @Test func idsFromAnIdempotencyKeyAreTheSameForEveryRetryAndDifferOtherwise() throws {
        let body = #"[{"type":"t","source":"s","data":1},{"type":"t","source":"s","data":1}]"#
        let ids = { (key: String, project: ProjectID, request: String) in
            try decode(body, as: NativeFormat.batch, key: key, project: project, request: request).events.map(\.event.id)
        }
        let first = try ids("key", "p", "request 1")
        #expect(try first == ids("key", "p", "request 2"))
        let all = try first + ids("key2", "p", "r") + ids("key", "q", "r") + ids("", "p", "r")
        #expect(Set(all).count == all.count)
        for id in all { #expect(id.utf8.count == 36 && Array(id)[14] == "8" && "89ab".contains(Array(id)[19])) }
    }

    @Test func aClientsIdGoesBeforeTheIdempotencyKey() throws {
        #expect(try decode(#"{"id":"mine","type":"t","source":"s","data":1}"#, key: "key").events.first?.event.id == "mine")
    }

    @Test func aFingerprintIsOfWhatTheClientSaidOnly() throws {
        let fingerprint = { (body: String, request: String) in try decode(body, request: request).events.first?.event.fingerprint }
        let body = #"{"id":"a","type":"t","source":"s","data":{"a":1}}"#
        #expect(try fingerprint(body, "1") == fingerprint(#"{"data" : {"a": 1},"source":"s","type":"t","id":"b"}"#, "2"))
        for other in [
            #""type":"t","source":"st""#, #""type":"ts","source":"""#, #""type":"t","source":"s","userId":"u""#,
            #""type":"t","source":"s","anonymousId":"u""#,
        ] {
            let other = #"{\#(other.replacing("\"\"", with: "\"x\"")),"data":{"a":1}}"#
            #expect(try fingerprint(body, "1") != fingerprint(other, "1"))
        }
    }

    /// A redelivery across an upgrade is no conflict.
    @Test func theFingerprintOfAnEventWithoutAnAnonymousIdIsThatOfEarlierVersions() throws {
        let body =
            #"{"id":"a","type":"t","source":"s","data":{"a":1},"timestamp":1772366400000,"correlationId":"c","metadata":{},"#
            + #""userId":"u","sessionId":"se"}"#
        let bare = #"{"type":"t","source":"s","data":1}"#
        let fingerprint = { (body: String) in try decode(body).events.first?.event.fingerprint }
        #expect(try fingerprint(body) == -1_590_171_799_795_647_006 && fingerprint(bare) == -404_238_658_987_229_524)
        let withID = body.replacing(#","sessionId""#, with: #","anonymousId":"an","sessionId""#)
        let asUser = body.replacing(#""userId":"u""#, with: #""anonymousId":"u""#)
        #expect(Set([body, withID, asUser, bare].compactMap { try? fingerprint($0) }).count == 4)
    }

    @Test func aMadeIdIsAUUIDOfVersion7ThatSortsByTime() {
        let early = IDGenerator.uuid7(clock: .fixed(noon))
        let late = IDGenerator.uuid7(clock: .fixed(noon + .milliseconds(1)))
        let pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
        var ids: Set<String> = []
        for _ in 0..<500 {
            let (a, b) = (early.next(), late.next())
            #expect(a.wholeMatch(of: pattern) != nil && a < b)
            ids.formUnion([a, b])
        }
        #expect(ids.count == 1_000)
    }
}
