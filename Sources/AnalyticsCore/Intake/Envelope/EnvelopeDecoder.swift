internal import AnalyticsJSON

/// Decodes a message. Not thread-safe: one decoder per task.
///
/// Any publisher to the queue can write a message, so it is checked here against what ingest can produce: times are within RFC 3339, texts
/// have ingest's lengths, positions and numbers are bounded. Later code relies on these checks.
final class EnvelopeDecoder {
    /// Ten times the number that ``EnvelopeEncoder`` writes.
    static let maximumEvents = 10 * EnvelopeEncoder.maximumEvents
    /// An event's position in its request. MAX_BATCH_EVENTS is at most 100,000.
    static let positions: ClosedRange<Int64> = 0...999_999

    private var parser = JSONParser()

    /// The sections of a message. A message that is not joined has one section.
    ///
    /// Throws a one-line reason for the dead letter if this version cannot read the message.
    func sections(of body: [UInt8]) throws(EnvelopeError) -> [EventEnvelope] {
        let text = PaddedBytes(body)
        guard var places = try joined(text) else { return [try section(text, at: text.all)] }
        var sections: [EventEnvelope] = []
        var count = 0
        while let place = try valid("'sections'", { () throws(JSONFault) in try places.next() }) {
            do throws(EnvelopeError) { sections.append(try section(text, at: place)) } catch {
                throw EnvelopeError("section \(sections.count): \(error.message)")
            }
            count += sections.last?.events.count ?? 0
            guard count <= Self.maximumEvents else { throw EnvelopeError("more than \(Self.maximumEvents) events") }
        }
        guard !sections.isEmpty else { throw EnvelopeError("no sections") }
        return sections
    }

    /// Decodes a message that is not joined. Throws as ``sections(of:)`` does.
    func decode(_ body: [UInt8]) throws(EnvelopeError) -> EventEnvelope {
        let text = PaddedBytes(body)
        return try section(text, at: text.all)
    }

    /// The sections of a joined message: an object with its version first and then only `sections`. `nil` for any other message.
    /// ``EnvelopeSalvage`` uses the same test.
    private func joined(_ text: PaddedBytes) throws(EnvelopeError) -> JSONElements? {
        guard var members = JSONRawMembers(text, at: text.all), let version = try? members.next(), text.equals("v", at: version.key),
            text.equals("2", at: version.value)
        else { return nil }
        let sections = try valid("the message", { () throws(JSONFault) in try members.next() })
        guard let sections, text.equals("sections", at: sections.key), let elements = JSONElements(text, at: sections.value) else {
            throw EnvelopeError("no array 'sections' behind the version")
        }
        guard try valid("the message", { () throws(JSONFault) in try members.next() }) == nil else {
            throw EnvelopeError("a member follows 'sections'")
        }
        return elements
    }

    private func section(_ text: PaddedBytes, at place: Range<Int>) throws(EnvelopeError) -> EventEnvelope {
        let (header, events) = try parts(of: text, at: place)
        guard let events else { throw EnvelopeError("no events") }
        return EventEnvelope(
            origin: header.origin, requestToReport: header.reportRequested ? header.request : nil,
            events: try read(text, at: events, header))
    }

    /// The range of `events`, and the other members as an object of their own, which is small and validated as a whole.
    private func parts(of text: PaddedBytes, at place: Range<Int>) throws(EnvelopeError) -> (EnvelopeHeader, events: Range<Int>?) {
        guard var members = JSONRawMembers(text, at: place) else { throw EnvelopeError("not a JSON object") }
        var events: Range<Int>?
        var others: [UInt8] = []
        while let (key, value) = try valid("the message", { () throws(JSONFault) in try members.next() }) {
            // ``EnvelopeSalvage`` must find the same events.
            guard events == nil else { throw EnvelopeError("a member follows 'events'") }
            guard !text[key].contains(UInt8(ascii: "\\")) else { throw EnvelopeError("the name of a member is escaped") }
            // Checked first: other members of a newer version may have another form.
            if text.equals("v", at: key) { try EnvelopeVersion.check(Int64(text.string(at: value))) }
            if text.equals("events", at: key) {
                events = value
            } else {
                others += others.isEmpty ? "{\"".utf8 : ",\"".utf8
                others += text[key]
                others += "\":".utf8
                others += text[value]
            }
        }
        others += others.isEmpty ? "{}".utf8 : "}".utf8
        return (try header(PaddedBytes(others)), events)
    }

    private func header(_ text: PaddedBytes) throws(EnvelopeError) -> EnvelopeHeader {
        try parser.withMembers(of: text, at: text.all, maximumDepth: EventLimits.maximumDepth) { (members) throws(EnvelopeError) in
            try EnvelopeHeader(members)
        } fault: {
            EnvelopeError("the header", $0)
        }
    }

    private func read(_ text: PaddedBytes, at place: Range<Int>, _ header: EnvelopeHeader) throws(EnvelopeError) -> [Event] {
        guard var elements = JSONElements(text, at: place) else { throw EnvelopeError("'events' is not an array") }
        var events: [Event] = []
        while let element = try valid("'events'", { () throws(JSONFault) in try elements.next() }) {
            guard events.count < Self.maximumEvents else { throw EnvelopeError("more than \(Self.maximumEvents) events") }
            let count = events.count
            // One level more than ingest allows: the data of a CloudEvent in binary mode may itself have the maximum depth.
            let event = try parser.withMembers(of: text, at: element, maximumDepth: EventLimits.maximumDepth + 1) {
                (members) throws(EnvelopeError) in
                do throws(EnvelopeError) { return try Event(members, header) } catch {
                    throw EnvelopeError("event \(count): \(error.message)")
                }
            } fault: {
                EnvelopeError("event \(count)", $0)
            }
            events.append(event)
        }
        guard !events.isEmpty else { throw EnvelopeError("no events") }
        return events
    }

    private func valid<R>(_ part: @autoclosure () -> String, _ body: () throws(JSONFault) -> R) throws(EnvelopeError) -> R {
        do throws(JSONFault) { return try body() } catch { throw EnvelopeError(part(), error) }
    }
}

/// The shared fields of a message's events.
private struct EnvelopeHeader {
    let project: ProjectID
    let request: String
    let receivedAt: Timestamp
    let origin: RequestOrigin
    let reportRequested: Bool

    /// Ignores unknown members. The parser has refused duplicate keys.
    init(_ members: borrowing JSONMembers) throws(EnvelopeError) {
        let version = members.integer("v")
        try EnvelopeVersion.check(version)
        guard version == EnvelopeVersion.single else { throw EnvelopeError("a joined message where events of one request are expected") }
        var project: ProjectID?
        var request: String?
        var receivedAt: Timestamp?
        var origin = RequestOrigin()
        var reportRequested = false
        try members.each { (member) throws(EnvelopeError) in
            if member.hasKey("project") {
                project = try member.project()
            } else if member.hasKey("request") {
                request = try member.text(limit: FieldRules.idLength)
            } else if member.hasKey("receivedAt") {
                receivedAt = try member.time()
            } else if member.hasKey("address") {
                origin.address = try member.text(limit: FieldRules.idLength)
            } else if member.hasKey("userAgent") {
                origin.userAgent = try member.text()
            } else if member.hasKey("country") {
                guard let country = Country(try member.text()) else { throw EnvelopeError("'country' is not a country code") }
                origin.country = country
            } else if member.hasKey("waits") {
                reportRequested = try member.number(in: 0...1) == 1
            }
        }
        guard let project, let request, let receivedAt else {
            throw EnvelopeError("'project', 'request' or 'receivedAt' is missing")
        }
        self.project = project
        self.request = request
        self.receivedAt = receivedAt
        self.origin = origin
        self.reportRequested = reportRequested
    }
}

extension Event {
    /// Ignores unknown members.
    fileprivate init(_ members: borrowing JSONMembers, _ header: EnvelopeHeader) throws(EnvelopeError) {
        self.init(
            project: header.project, id: "", type: "", source: "", timestamp: header.receivedAt, receivedAt: header.receivedAt, ingestID: ""
        )
        var hasTimestamp = false
        try members.each { (member) throws(EnvelopeError) in
            if member.hasKey("n") {
                ingestID = "\(header.request):\(try member.number(in: EnvelopeDecoder.positions))"
            } else if member.hasKey("id") {
                id = try member.text(limit: FieldRules.idLength)
            } else if member.hasKey("type") {
                type = try member.text(limit: FieldRules.textLength)
            } else if member.hasKey("source") {
                source = try member.text(limit: FieldRules.textLength)
            } else if member.hasKey("timestamp") {
                timestamp = try member.time()
                hasTimestamp = true
            } else if member.hasKey("clientTimestamp") {
                clientTimestamp = try member.time()
            } else if member.hasKey("data") {
                data = member.json
            } else if member.hasKey("correlationId") {
                correlationId = try member.text(limit: FieldRules.textLength)
            } else if member.hasKey("metadata") {
                guard member.isObject else { throw EnvelopeError("'metadata' is not an object") }
                metadata = member.json
            } else if member.hasKey("userId") {
                userId = try member.text(limit: FieldRules.textLength)
            } else if member.hasKey("anonymousId") {
                anonymousId = try member.text(limit: FieldRules.textLength)
            } else if member.hasKey("visitorId") {
                let text = try member.text()
                guard VisitorID.isOne(text) else { throw EnvelopeError("'visitorId' is not 32 hexadecimal digits") }
                visitorId = text
            } else if member.hasKey("sessionId") {
                sessionId = try member.text(limit: FieldRules.textLength)
            }
        }
        guard !ingestID.isEmpty, !id.isEmpty, !type.isEmpty, !source.isEmpty, hasTimestamp else {
            throw EnvelopeError("'n', 'id', 'type', 'source' or 'timestamp' is missing")
        }
    }
}

extension JSONMember {
    fileprivate func text() throws(EnvelopeError) -> String {
        guard let text = string else { throw EnvelopeError("'\(key)' is not a string") }
        return text
    }

    /// A text with ingest's length and without control characters.
    fileprivate func text(limit: Int) throws(EnvelopeError) -> String {
        let text = try text()
        guard FieldRules.hasLength(text, limit: limit) else { throw EnvelopeError("'\(key)' does not have 1 to \(limit) characters") }
        guard !FieldRules.hasControls(text) else { throw EnvelopeError("'\(key)' contains control characters") }
        return text
    }

    fileprivate func project() throws(EnvelopeError) -> ProjectID {
        guard let project = ProjectID(try text()) else { throw EnvelopeError("'\(key)' is not a project name") }
        return project
    }

    fileprivate func time() throws(EnvelopeError) -> Timestamp {
        guard let time = integer.map(Timestamp.init(milliseconds:)), time.isValid else {
            throw EnvelopeError("'\(key)' is not a time in milliseconds between the years 1 and 9999")
        }
        return time
    }

    fileprivate func number(in range: ClosedRange<Int64>) throws(EnvelopeError) -> Int64 {
        guard let integer, range.contains(integer) else {
            throw EnvelopeError("'\(key)' is not an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }
}

/// Why a message cannot be decoded: one line.
struct EnvelopeError: Error, Equatable {
    var message: String

    init(_ message: String) {
        self.message = message
    }

    fileprivate init(_ part: String, _ fault: JSONFault) {
        message = "\(part) is not valid JSON: \(fault.code)"
    }
}
