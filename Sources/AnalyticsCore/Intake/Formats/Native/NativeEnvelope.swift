internal import AnalyticsJSON

/// A native batch: `[…]` or `{"events": […], "sentAt": …}`.
struct NativeEnvelope {
    let batch: IntakeBatch<Void>

    init(_ body: PaddedBytes, limit: Int, parser: inout JSONParser) throws(IngestError) {
        let (events, sentAt) = try Self.parts(of: body)
        var items = IntakeItems(limit: limit)
        try items.append(elementsOf: body, at: events)
        var batch = IntakeBatch(text: body, items: items.places)
        if let sentAt { batch.sentAt = try Self.time(body, at: sentAt, &parser) }
        self.batch = batch
    }

    private static func parts(of body: PaddedBytes) throws(IngestError) -> (events: Range<Int>, sentAt: Range<Int>?) {
        guard var members = JSONRawMembers(body, at: body.all) else { return (body.all, nil) }
        var events: Range<Int>?
        var sentAt: Range<Int>?
        while let (key, value) = try IngestError.cutting({ () throws(JSONFault) in try members.next() }) {
            if body.equals("events", at: key), events == nil {
                events = value
            } else if body.equals("sentAt", at: key), sentAt == nil {
                sentAt = value
            } else {
                throw IngestError(
                    .invalidEnvelope,
                    "'\(body.string(at: key))' is not expected here: a batch holds 'events' and may hold 'sentAt', once each.")
            }
        }
        guard let events else {
            throw IngestError(
                .invalidEnvelope, "'events' is missing: send an array of events, {\"events\": […]}, or NDJSON as application/x-ndjson.")
        }
        return (events, sentAt)
    }

    private static func time(_ body: PaddedBytes, at place: Range<Int>, _ parser: inout JSONParser) throws(IngestError) -> Timestamp? {
        let refusal = IngestError(.invalidEnvelope, FieldRules.timestampHelp("sentAt"))
        return try parser.withValue(of: body, at: place, maximumDepth: 0) { (value) throws(IngestError) in
            do throws(Rejection) { return try FieldRules.timestamp(value, "sentAt") } catch { throw refusal }
        } fault: { _ in
            refusal
        }
    }
}
