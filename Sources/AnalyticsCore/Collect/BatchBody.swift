internal import AnalyticsJSON

/// Finds the events in a request's body, without parsing them: one broken event does not take the others with it.
struct BatchBody {
    private let text: PaddedBytes
    /// Where the events stand in the body, in order.
    private(set) var events: [Range<Int>] = []
    /// Where the value of `sentAt` stands, when the batch carries one.
    private(set) var sentAt: Range<Int>?

    /// `[…]` or `{"events": […], "sentAt": …}`.
    init(batch body: PaddedBytes, limit: Int) throws(SubmissionError) {
        text = body
        guard var members = JSONRawMembers(body, at: body.all) else {
            try appendElements(at: body.all, limit: limit)
            return
        }
        var array: Range<Int>?
        while let (key, value) = try Self.whole({ () throws(JSONFault) in try members.next() }) {
            if body.equals("events", at: key), array == nil {
                array = value
            } else if body.equals("sentAt", at: key), sentAt == nil {
                sentAt = value
            } else {
                throw SubmissionError(
                    .invalidEnvelope,
                    "'\(body.string(at: key))' is not expected here: a batch holds 'events' and may hold 'sentAt', once each.")
            }
        }
        guard let array else {
            throw SubmissionError(
                .invalidEnvelope, "'events' is missing: send an array of events, {\"events\": […]}, or NDJSON as application/x-ndjson.")
        }
        try appendElements(at: array, limit: limit)
    }

    init(array body: PaddedBytes, limit: Int) throws(SubmissionError) {
        text = body
        try appendElements(at: body.all, limit: limit)
    }

    /// NDJSON: an event a line, empty lines passed over.
    init(lines body: PaddedBytes, limit: Int) throws(SubmissionError) {
        text = body
        var rest = body.bytes
        // One line at a time: a body of empty lines is not to become a list of them.
        while !rest.isEmpty {
            let line = rest.prefix { $0 != 0x0A }
            rest = rest[line.endIndex...].dropFirst()
            guard !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) else { continue }
            try append(line.indices, limit: limit)
        }
    }

    private mutating func appendElements(at range: Range<Int>, limit: Int) throws(SubmissionError) {
        guard var elements = JSONElements(text, at: range) else {
            throw SubmissionError(.invalidEnvelope, "An array of events is expected here.")
        }
        while let element = try Self.whole({ () throws(JSONFault) in try elements.next() }) {
            try append(element, limit: limit)
        }
    }

    private mutating func append(_ event: Range<Int>, limit: Int) throws(SubmissionError) {
        guard events.count < limit else {
            throw SubmissionError(.tooManyEvents, "A request holds at most \(limit) events; send the rest in another.")
        }
        events.append(event)
    }

    private static func whole<T>(_ next: () throws(JSONFault) -> T) throws(SubmissionError) -> T {
        do throws(JSONFault) {
            return try next()
        } catch {
            throw SubmissionError(
                .invalidJSON, "The body is not valid JSON: a bracket is not closed, a comma is missing, or something follows the end.")
        }
    }
}
