import Testing

@testable import AnalyticsCore

struct NDJSONFormatTests {
    @Test func linesMayEndInAnyWayAndBlankOnesArePassedOver() throws {
        let event = { (id: String) in #"{"id":"\#(id)","type":"t","source":"s","data":1}"# }
        let body = "\n\r\n  \t\n\(event("a"))\r\n\n\(event("b"))\nbroken\n \(event("c"))"
        let output = try decode(body, as: NDJSONFormat())
        #expect(output.events.map(\.event.id) == ["a", "b", "c"] && output.events.map(\.index) == [0, 1, 3])
        #expect(output.rejected.first.map(\.index) == [2])
        #expect(throws: IngestError.self) { try decode("\n \r\n", as: NDJSONFormat()) }
    }

    @Test func aBodyOfBlankLinesHoldsNoEvent() {
        let body = Array(repeating: [UInt8(ascii: " "), UInt8(ascii: "\n")], count: 100_000).flatMap(\.self)
        #expect(throws: IngestError.self) { try decode(body, as: NDJSONFormat()) }
    }
}
