import TestSupport
import Testing

@testable import AnalyticsCore

struct NativeFormatTests {
    @Test func oneBrokenEventAmongFiveHundredLeavesTheOthers() throws {
        for broken in ["{\"type\":1e400}", "{\"a\":\"\\ud800\"}", "{\"type\":\"t\",}", "{\"a\" 1}", "tru", "\"x", "]"].dropLast(2) {
            var events = (0..<500).map { #"{"id":"e\#($0)","type":"t","source":"s","data":1}"# }
            events[250] = broken
            let output = try decode("[\(events.joined(separator: ","))]", as: NativeFormat.batch)
            #expect(output.events.count == 499 && output.rejected.first.map(\.index) == [250], "\(broken)")
        }
    }

    @Test(arguments: [
        ("", IngestError.Code.invalidEnvelope), ("42", .invalidEnvelope), ("{}", .invalidEnvelope), ("[]", .emptyBatch),
        (#"{"events":[]}"#, .emptyBatch), (#"{"events":{}}"#, .invalidEnvelope), (#"{"events":[],"extra":1}"#, .invalidEnvelope),
        (#"{"events":[],"events":[]}"#, .invalidEnvelope), (#"{"events":[{}],"sentAt":"now"}"#, .invalidEnvelope),
        (#"{"events":[{}],"sentAt":{}}"#, .invalidEnvelope), ("[{}", .invalidJSON), ("[{} {}]", .invalidJSON), ("[{}] x", .invalidJSON),
        ("[{},]", .invalidJSON), (#"{"events":[{}]"#, .invalidJSON),
    ])
    func aBodyThatIsNoBatchIsRefusedWhole(body: String, code: IngestError.Code) {
        do {
            let output = try decode(body, as: NativeFormat.batch)
            Issue.record("\(output)")
        } catch {
            #expect(error.code == code)
        }
    }

    @Test func aBatchHoldsAsManyEventsAsAllowed() throws {
        let event = #"{"type":"t","source":"s","data":1}"#
        let limits = EventLimits(maximumBatchEvents: 3)
        let three = Array(repeating: event, count: 3)
        #expect(try decode("[\(three.joined(separator: ","))]", as: NativeFormat.batch, limits: limits).events.count == 3)
        for (body, format) in [
            ("[\((three + [event]).joined(separator: ","))]", NativeFormat.batch as any IntakeFormat),
            ((three + [event]).joined(separator: "\n"), NDJSONFormat()), ("[{},{},{},{}]", CloudEventsFormat.batched),
        ] {
            #expect(throws: IngestError.self) { try decode(body, as: format, limits: limits) }
        }
    }

    @Test func aRejectionNamesTheEventByPositionAndId() throws {
        let bodies = [
            #"{"id":"a","type":"t","source":"s","data":1,"timestamp":"2027-01-01T00:00:00Z"}"#, #"{"id":"b","source":"s","data":1}"#,
            #"{"type":"t","source":"s","data":1,"oops":1,"id":"c"}"#, #"{"id":"\#(String(repeating: "d", count: 500))","type":"t"}"#, "{",
        ]
        let output = try decode("[\(bodies.joined(separator: ","))]".replacing("{]", with: "{}]"), as: NativeFormat.batch)
        #expect(output.rejected.first.map(\.index) == [0, 1, 2, 3, 4])
        #expect(output.rejected.first.map(\.id) == ["a", "b", "c", nil, nil])
    }

    @Test func sentAtMovesTheTimeByWhatTheSendersClockIsOff() throws {
        let body = #"{"sentAt":"2026-03-01T10:00:00Z","events":[{"type":"t","source":"s","data":1,"timestamp":"2026-03-01T09:58:30Z"}]}"#
        let event = try #require(try decode(body, as: NativeFormat.batch).events.first?.event)
        #expect(event.timestamp == noon - .seconds(90))
        #expect(event.clientTimestamp == Timestamp(rfc3339: "2026-03-01T09:58:30Z"))
    }

    @Test func sentAtChangesNothingForAnEventWithoutATime() throws {
        let event = try #require(
            try decode(#"{"sentAt":0,"events":[{"type":"t","source":"s","data":1}]}"#, as: NativeFormat.batch).events.first?.event)
        #expect(event.timestamp == noon && event.clientTimestamp == nil)
    }

    @Test(arguments: ["[]", " \n[{},{}]", "[\(String(repeating: "x", count: 300_000))"])
    func anArrayWhereOneEventIsExpectedIsSentToTheOtherRoute(body: String) throws {
        let output = try decode(body, as: NativeFormat.event)
        #expect(output.events.isEmpty && output.rejected.count == 1)
        let rejection = try #require(output.rejected.first.first)
        #expect(rejection.code == .notAnObject && rejection.message.contains("/api/v1/events/batch"))
    }
}
