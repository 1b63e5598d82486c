import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

/// What a vendor's format may need: items of a shape of its own, something said once for all, several events or none per item.
private struct VisitsFormat: IntakeFormat {
    var source = "default"

    func split(_ body: PaddedBytes, limit: Int, parser: inout JSONParser) throws(IngestError) -> IntakeBatch<String> {
        guard var members = JSONRawMembers(body, at: body.all) else { throw IngestError(.invalidEnvelope, "no visits") }
        var items = IntakeItems(limit: limit)
        var visitor = ""
        while let (key, value) = try IngestError.cutting({ () throws(JSONFault) in try members.next() }) {
            if body.equals("visits", at: key) { try items.append(elementsOf: body, at: value) }
            if body.equals("visitor", at: key) { visitor = body.string(at: (value.lowerBound + 1)..<(value.upperBound - 1)) }
        }
        return IntakeBatch(text: body, items: items.places, sentAt: noon, shared: visitor)
    }

    func draft(
        _ item: Range<Int>, of batch: IntakeBatch<String>, parser: inout JSONParser, into drafts: inout [EventDraft]
    ) throws(Rejection) {
        let (page, count) = try parser.withMembers(of: batch.text, at: item, maximumDepth: 2) { (members) throws(Rejection) in
            (members.string("page"), members.integer("count") ?? 1)
        } fault: {
            Rejection(fault: $0)
        }
        for _ in 0..<count {
            var draft = EventDraft()
            draft.type = page
            draft.source = source
            draft.userId = batch.shared
            drafts.append(draft)
        }
        guard page != "broken" else { throw Rejection(id: "known", code: .invalidValue, message: "broken") }
    }
}

struct IntakeFormatTests {
    private func visits(_ visits: String) -> String { #"{"visitor":"v1","visits":[\#(visits)]}"# }

    @Test func anItemMayMakeSeveralEventsOrNone() throws {
        let body = visits(#"{"page":"a","count":2},{"count":0},{"page":"b"}"#)
        let output = try decode(body, as: VisitsFormat())
        #expect(output.events.map(\.event.type) == ["a", "a", "b"] && output.rejected.count == 0)
        #expect(output.events.allSatisfy { $0.event.source == "default" && $0.event.userId == "v1" })
    }

    @Test func eventsOfOneItemHaveReceiptsAndDerivedIdsOfTheirOwn() throws {
        let body = visits(#"{"page":"a","count":2},{"count":0},{"page":"b"},{"page":"broken","count":5},{"page":"c"}"#)
        let events = try decode(body, as: VisitsFormat(), key: "key").events
        #expect(events.map(\.index) == [0, 1, 3, 5] && events.map(\.event.ingestID) == ["req:0", "req:1", "req:3", "req:5"])
        #expect(Set(events.map(\.event.id)).count == 4)
        #expect(try decode(body, as: VisitsFormat(), key: "key").events.map(\.event.id) == events.map(\.event.id))
    }

    @Test func anItemThatIsRefusedMakesNoEventAndIsNamedByItsPosition() throws {
        let output = try decode(visits(#"{"page":"a","count":2},{"page":"broken","count":3},{"page":"b"}"#), as: VisitsFormat())
        #expect(output.events.map(\.event.type) == ["a", "a", "b"])
        #expect(output.rejected.first.map(\.index) == [1] && output.rejected.first.map(\.id) == ["known"])
    }

    @Test func aRequestMakesNoMoreEventsThanItMayHaveItems() throws {
        let limits = EventLimits(maximumBatchEvents: 3)
        #expect(try decode(visits(#"{"page":"a","count":3}"#), as: VisitsFormat(), limits: limits).events.count == 3)
        #expect(throws: IngestError.tooManyEvents(3)) {
            try decode(visits(#"{"page":"a","count":2},{"page":"b","count":2}"#), as: VisitsFormat(), limits: limits)
        }
    }

    @Test func anItemOfWhichNothingBecomesAnEventIsNoEmptyRequest() throws {
        #expect(try decode(visits(#"{"count":0}"#), as: VisitsFormat()).events.isEmpty)
        #expect(throws: IngestError.self) { try decode(visits(""), as: VisitsFormat()) }
    }

    @Test func noFormatCanLeaveOutTypeOrSource() throws {
        let output = try decode(visits("{}"), as: VisitsFormat())
        #expect(output.events.isEmpty && output.rejected.first.map(\.field) == ["type"])
        #expect(try decode(visits(#"{"page":"a"}"#), as: VisitsFormat(source: "shop")).events.map(\.event.source) == ["shop"])
    }
}
