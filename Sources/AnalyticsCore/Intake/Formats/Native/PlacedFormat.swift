public import AnalyticsJSON

/// Native events at known places in one text. A transport with separate events writes them one after another.
public struct PlacedFormat: IntakeFormat {
    /// The place of an event, and of the JSON values in it that the client sent. Each of these must be one value.
    public struct Place: Sendable {
        public var event: Range<Int>
        public var values: [Range<Int>]

        public init(event: Range<Int>, values: [Range<Int>]) {
            self.event = event
            self.values = values
        }
    }

    private let places: [Place]

    public init(_ places: [Place]) {
        self.places = places
    }

    public func split(_ body: PaddedBytes, limit: Int, parser: inout JSONParser) throws(IngestError) -> IntakeBatch<[Int: Place]> {
        var items = IntakeItems(limit: limit)
        for place in places { try items.append(place.event) }
        return IntakeBatch(
            text: body, items: items.places, shared: Dictionary(places.map { ($0.event.lowerBound, $0) }) { first, _ in first })
    }

    public func draft(
        _ item: Range<Int>, of batch: IntakeBatch<[Int: Place]>, parser: inout JSONParser, into drafts: inout [EventDraft]
    ) throws(Rejection) {
        for value in batch.shared[item.lowerBound]?.values ?? [] {
            // Otherwise a comma in it would begin another field.
            try parser.withValue(of: batch.text, at: value, maximumDepth: EventLimits.maximumDepth) { (_) throws(Rejection) in
            } fault: {
                Rejection(fault: $0)
            }
        }
        drafts.append(try parser.draft(item, of: batch.text) { (members) throws(Rejection) in try EventDraft(native: members) })
    }
}
