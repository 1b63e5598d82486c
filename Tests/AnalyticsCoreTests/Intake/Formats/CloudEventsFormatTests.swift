import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

struct CloudEventsFormatTests {
    private func binary(
        _ attributes: [String: String] = [:], type: String? = nil, _ body: [UInt8] = []
    ) throws -> EventDecoder.Output {
        let required = ["specversion": "1.0", "id": "1", "source": "/s", "type": "t"]
        return try decode(
            body,
            as: CloudEventsFormat.binary(attributes: required.merging(attributes) { $1 }.filter { !$0.value.isEmpty }, contentType: type))
    }

    private static let attributes = #""specversion":"1.0","id":"1","source":"/s","type":"com.example.t""#

    @Test func structuredModeMapsAttributesToFields() throws {
        let body =
            #"{\#(Self.attributes),"time":"2026-03-01T11:00:00+01:00","datacontenttype":"application/json","subject":"x","#
            + #""correlationid":"c","userid":"u","anonymousid":"an","sessionid":"se","count":5,"gone":null,"data":{"a":[1]}}"#
        let event = try #require(try decode(body, as: CloudEventsFormat.structured).events.first?.event)
        #expect(event.id == "1" && event.source == "/s" && event.type == "com.example.t")
        #expect(event.timestamp == noon - .seconds(7_200) && event.data?.text == #"{"a":[1]}"#)
        #expect(event.correlationId == "c" && event.userId == "u" && event.anonymousId == "an" && event.sessionId == "se")
        #expect(event.metadata?.text == #"{"datacontenttype":"application/json","subject":"x","count":5}"#)
    }

    @Test func bytesStayBase64AndSaySo() throws {
        let event = try #require(
            try decode(#"{\#(Self.attributes),"data_base64":"AAEC"}"#, as: CloudEventsFormat.structured).events.first?.event)
        #expect(event.data?.text == "\"AAEC\"" && event.metadata?.text == #"{"datacontentencoding":"base64"}"#)
    }

    @Test func anEventWithoutDataOrExtensionsHasNeither() throws {
        let event = try #require(try decode("{\(Self.attributes)}", as: CloudEventsFormat.structured).events.first?.event)
        #expect(event.data == nil && event.metadata == nil)
    }

    @Test(arguments: [
        Refused(#"{"id":"1","source":"/s","type":"t"}"#, .missingField, "specversion"),
        Refused(#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#, .invalidValue, "specversion"),
        Refused(#"{"specversion":"1.0","source":"/s","type":"t"}"#, .missingField, "id"),
        Refused(#"{"specversion":"1.0","id":"1","type":"t"}"#, .missingField, "source"),
        Refused(#"{"specversion":"1.0","id":"1","source":"/s"}"#, .missingField, "type"),
        Refused(#"{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"noon"}"#, .invalidTimestamp, "time"),
        Refused(#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":1}"#, .invalidType, "data_base64"),
        Refused(#"{"specversion":"1.0","id":"1","source":"/s","type":"t","anonymousid":""}"#, .invalidValue, "anonymousid"),
        Refused(#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#, .invalidValue, "id"),
    ])
    func refuses(refused: Refused) throws {
        let output = try decode(refused.members, as: CloudEventsFormat.structured)
        #expect(
            output.events.isEmpty && output.rejected.first.first?.code == refused.code
                && output.rejected.first.first?.field == refused.field)
    }

    @Test func aBatchTakesEachByItself() throws {
        let output = try decode("[{\(Self.attributes)},{},{\(Self.attributes)}]", as: CloudEventsFormat.batched)
        #expect(output.events.map(\.index) == [0, 2] && output.rejected.first.map(\.index) == [1])
        #expect(throws: IngestError.self) { try decode("{\(Self.attributes)}", as: CloudEventsFormat.batched) }
    }

    @Test func binaryModeTakesJSONAsJSON() throws {
        for type in ["application/json", "application/JSON; charset=utf-8", "text/json", "application/vnd.x+json", nil] {
            let event = try #require(try binary(type: type, Array(#" { "a" : [1, 2] } "#.utf8)).events.first?.event, "\(type ?? "none")")
            #expect(event.data?.text == #"{"a":[1,2]}"#)
        }
    }

    @Test func binaryModeTakesTextAsTextAndBytesAsBase64() throws {
        #expect(try binary(type: "text/plain", Array("ä\n".utf8)).events.first?.event.data?.text == #""ä\n""#)
        let bytes = try #require(try binary(type: "image/png", [0, 1, 2, 255]).events.first?.event)
        #expect(bytes.data?.text == "\"AAEC/w==\"")
        #expect(bytes.metadata?.text == #"{"datacontenttype":"image/png","datacontentencoding":"base64"}"#)
        #expect(try binary(type: "text/plain", [0xFF]).events.first?.event.data?.text == "\"/w==\"")
        #expect(try binary().events.first?.event.data == nil)
    }

    @Test func binaryModeReadsAttributes() throws {
        let event = try #require(
            try binary(["time": "2026-03-01T11:00:00Z", "userid": "u", "anonymousid": "an", "partitionkey": "k"]).events.first?.event)
        #expect(event.timestamp == noon - .seconds(3_600) && event.userId == "u" && event.anonymousId == "an")
        #expect(event.metadata?.text == #"{"partitionkey":"k"}"#)
        #expect(try binary(["specversion": ""]).rejected.first.first?.code == .missingField)
        #expect(try binary(["time": "soon"]).rejected.first.first?.field == "time")
    }

    @Test(arguments: [
        ("{", RejectionCode.invalidJSON), ("1,\"x\":2", .invalidJSON), ("1}", .invalidJSON), ("{\"a\":1,\"a\":2}", .duplicateKey),
    ])
    func brokenJSONInBinaryModeIsRefusedAsData(body: String, code: RejectionCode) throws {
        let rejection = try #require(try binary(type: "application/json", Array(body.utf8)).rejected.first.first)
        #expect(rejection.code == code && rejection.field == "data")
    }

    /// An attribute that bears the name of one that is added must not make the stored object, and with it the whole message, unreadable.
    @Test func attributesThatShareANameWithWhatIsAddedLeaveTheEventReadable() throws {
        let outputs = [
            try decode(#"{\#(Self.attributes),"datacontentencoding":"mine","data_base64":"AAEC"}"#, as: CloudEventsFormat.structured),
            try decode(#"{\#(Self.attributes),"data_base64":"AAEC","datacontentencoding":"mine"}"#, as: CloudEventsFormat.structured),
            try binary(["datacontentencoding": "mine", "datacontenttype": "mine"], type: "image/png", [0]),
        ]
        for output in outputs {
            let event = try #require(output.events.first?.event)
            let envelope = try EnvelopeDecoder().decode(message([event]).body)
            #expect(envelope.events.first?.metadata == event.metadata)
        }
    }

    @Test func theDeepestDataPassesThroughTheQueue() throws {
        let nested = String(repeating: "[", count: 32) + String(repeating: "]", count: 32)
        let event = try #require(try binary(type: "application/json", Array(nested.utf8)).events.first?.event)
        #expect(try EnvelopeDecoder().decode(message([event]).body).events.first?.data?.text == nested)
        #expect(try binary(type: "application/json", Array("[\(nested)]".utf8)).rejected.first.first?.code == .tooDeep)
    }

    @Test func binaryModeNamesTheEventByItsHeaderWhateverIsWrong() throws {
        let attributes = ["specversion": "1.0", "id": "a", "source": "/s", "type": "t"]
        let refused: [(changed: [String: String], body: String)] = [
            (["specversion": "0.3"], "1"), (["time": "noon"], "1"), ([:], "{"), (["time": "2027-01-01T00:00:00Z"], "1"),
            ([:], String(repeating: " ", count: 300_000)),
        ]
        for (changed, body) in refused {
            let format = CloudEventsFormat.binary(attributes: attributes.merging(changed) { $1 }, contentType: "application/json")
            let rejected = try decode(body, as: format).rejected.first
            #expect(rejected.map(\.id) == ["a"], "\(changed) \(body.prefix(9))")
        }
    }
}
