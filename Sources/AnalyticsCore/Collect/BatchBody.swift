/// Cuts a request's body into the texts of its events, without parsing them: one broken event does not take the others with it.
struct BatchBody {
    /// Raw texts, in order; valid as long as the body's bytes are.
    var events: [JSONSlice] = []
    /// The raw value of `sentAt`, when the batch carries one.
    var sentAt: JSONSlice?

    /// `[…]` or `{"events": […], "sentAt": …}`.
    init(batch body: JSONSlice, limit: Int) throws(SubmissionError) {
        guard var members = JSONRawMembers(body) else {
            try self.init(array: body, limit: limit)
            return
        }
        var array: JSONSlice?
        var sentAt: JSONSlice?
        while let (key, value) = try Self.whole({ () throws(JSONFault) in try members.next() }) {
            if key.equals("events"), array == nil {
                array = value
            } else if key.equals("sentAt"), sentAt == nil {
                sentAt = value
            } else {
                throw SubmissionError(
                    .invalidEnvelope, "'\(key.string)' is not expected here: a batch holds 'events' and may hold 'sentAt', once each.")
            }
        }
        guard let array else {
            throw SubmissionError(
                .invalidEnvelope, "'events' is missing: send an array of events, {\"events\": […]}, or NDJSON as application/x-ndjson.")
        }
        try self.init(array: array, limit: limit)
        self.sentAt = sentAt
    }

    init(array body: JSONSlice, limit: Int) throws(SubmissionError) {
        guard var elements = JSONElements(body) else {
            throw SubmissionError(.invalidEnvelope, "An array of events is expected here.")
        }
        while let element = try Self.whole({ () throws(JSONFault) in try elements.next() }) {
            try append(element, limit: limit)
        }
    }

    /// NDJSON: an event a line, empty lines passed over.
    init(lines body: JSONSlice, limit: Int) throws(SubmissionError) {
        var rest = UnsafeRawBufferPointer(start: body.start, count: body.count)[...]
        // One line at a time: a body of empty lines is not to become a list of them.
        while !rest.isEmpty {
            let line = rest.prefix { $0 != 0x0A }
            rest = rest[line.endIndex...].dropFirst()
            guard !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) else { continue }
            try append(JSONSlice(start: body.start + line.startIndex, count: line.count), limit: limit)
        }
    }

    private mutating func append(_ event: JSONSlice, limit: Int) throws(SubmissionError) {
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
