internal import AnalyticsJSON

/// Reads a message back. Not thread-safe: one a task.
///
/// Whoever may publish to the queue can write a message, so it is checked here, once, against what ingest can have written: times are those
/// of RFC 3339, texts have ingest's lengths, positions and numbers are bounded. What computes with an event later relies on that.
final class ChunkDecoder {
    /// Ten times what a message holds today.
    static let maximumEvents = 10 * ChunkEncoder.maximumEvents
    /// An event's position in its request. MAX_BATCH_EVENTS is at most 100,000.
    static let positions: ClosedRange<Int64> = 0...999_999

    private var parser = JSONParser()

    /// Throws one line for the dead letters when the body is not a message that this version reads.
    func decode(_ body: [UInt8]) throws(ChunkError) -> EventChunk {
        let text = PaddedBytes(body)
        let (header, events) = try parts(of: text)
        guard let events else { throw ChunkError("no events") }
        return EventChunk(
            sender: header.sender, waitingRequest: header.isAwaited ? header.request : nil, events: try read(text, at: events, header))
    }

    /// The place of `events`, and all other members as an object of their own: small, and validated whole.
    private func parts(of text: PaddedBytes) throws(ChunkError) -> (ChunkHeader, events: Range<Int>?) {
        guard var members = JSONRawMembers(text, at: text.all) else { throw ChunkError("not a JSON object") }
        var events: Range<Int>?
        var others: [UInt8] = []
        while let (key, value) = try valid("the message", { () throws(JSONFault) in try members.next() }) {
            // As ``EnvelopeSalvage`` reads it, which has to find whatever is found here.
            guard events == nil else { throw ChunkError("a member follows 'events'") }
            guard !text[key].contains(UInt8(ascii: "\\")) else { throw ChunkError("the name of a member is escaped") }
            // At once: of a newer message nothing else need be as this version has it.
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

    private func header(_ text: PaddedBytes) throws(ChunkError) -> ChunkHeader {
        try parser.withMembers(of: text, at: text.all, maximumDepth: EventLimits.maximumDepth) { (members) throws(ChunkError) in
            try ChunkHeader(members)
        } fault: {
            ChunkError("the header", $0)
        }
    }

    private func read(_ text: PaddedBytes, at place: Range<Int>, _ header: ChunkHeader) throws(ChunkError) -> [Event] {
        guard var elements = JSONElements(text, at: place) else { throw ChunkError("'events' is no array") }
        var events: [Event] = []
        while let element = try valid("'events'", { () throws(JSONFault) in try elements.next() }) {
            guard events.count < Self.maximumEvents else { throw ChunkError("more than \(Self.maximumEvents) events") }
            let count = events.count
            // One level more than ingest allows: the data of a CloudEvent in binary mode has all levels to itself.
            let event = try parser.withMembers(of: text, at: element, maximumDepth: EventLimits.maximumDepth + 1) {
                (members) throws(ChunkError) in
                do throws(ChunkError) { return try Event(members, header) } catch { throw ChunkError("event \(count): \(error.message)") }
            } fault: {
                ChunkError("event \(count)", $0)
            }
            events.append(event)
        }
        guard !events.isEmpty else { throw ChunkError("no events") }
        return events
    }

    private func valid<R>(_ part: @autoclosure () -> String, _ body: () throws(JSONFault) -> R) throws(ChunkError) -> R {
        do throws(JSONFault) { return try body() } catch { throw ChunkError(part(), error) }
    }
}

/// What the events of a message have in common.
private struct ChunkHeader {
    let project: ProjectID
    let request: String
    let receivedAt: Timestamp
    let sender: Sender
    let isAwaited: Bool

    /// Members that this version does not know are passed over. The parser has refused an object with a key twice.
    init(_ members: borrowing JSONMembers) throws(ChunkError) {
        try EnvelopeVersion.check(members.integer("v"))
        var project: ProjectID?
        var request: String?
        var receivedAt: Timestamp?
        var sender = Sender()
        var isAwaited = false
        try members.each { (member) throws(ChunkError) in
            if member.hasKey("project") {
                project = try member.project()
            } else if member.hasKey("request") {
                request = try member.text(limit: FieldRules.idLength)
            } else if member.hasKey("receivedAt") {
                receivedAt = try member.time()
            } else if member.hasKey("address") {
                sender.address = try member.text(limit: FieldRules.idLength)
            } else if member.hasKey("userAgent") {
                sender.userAgent = try member.text()
            } else if member.hasKey("waits") {
                isAwaited = try member.number(in: 0...1) == 1
            }
        }
        guard let project, let request, let receivedAt else {
            throw ChunkError("'project', 'request' or 'receivedAt' is missing")
        }
        self.project = project
        self.request = request
        self.receivedAt = receivedAt
        self.sender = sender
        self.isAwaited = isAwaited
    }
}

extension Event {
    /// Members that this version does not know are passed over.
    fileprivate init(_ members: borrowing JSONMembers, _ header: ChunkHeader) throws(ChunkError) {
        self.init(
            project: header.project, id: "", type: "", source: "", timestamp: header.receivedAt, receivedAt: header.receivedAt, receipt: "")
        var hasTimestamp = false
        try members.each { (member) throws(ChunkError) in
            if member.hasKey("n") {
                receipt = "\(header.request):\(try member.number(in: ChunkDecoder.positions))"
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
                guard member.isObject else { throw ChunkError("'metadata' is no object") }
                metadata = member.json
            } else if member.hasKey("userId") {
                userId = try member.text(limit: FieldRules.textLength)
            } else if member.hasKey("sessionId") {
                sessionId = try member.text(limit: FieldRules.textLength)
            }
        }
        guard !receipt.isEmpty, !id.isEmpty, !type.isEmpty, !source.isEmpty, hasTimestamp else {
            throw ChunkError("'n', 'id', 'type', 'source' or 'timestamp' is missing")
        }
    }
}

extension JSONMember {
    fileprivate func text() throws(ChunkError) -> String {
        guard let text = string else { throw ChunkError("'\(key)' is no string") }
        return text
    }

    /// A text as ingest takes it.
    fileprivate func text(limit: Int) throws(ChunkError) -> String {
        let text = try text()
        guard FieldRules.hasLength(text, limit: limit) else { throw ChunkError("'\(key)' does not have 1 to \(limit) characters") }
        guard !FieldRules.hasControls(text) else { throw ChunkError("'\(key)' holds control characters") }
        return text
    }

    fileprivate func project() throws(ChunkError) -> ProjectID {
        guard let project = ProjectID(try text()) else { throw ChunkError("'\(key)' is no name of a project") }
        return project
    }

    fileprivate func time() throws(ChunkError) -> Timestamp {
        guard let time = integer.map(Timestamp.init(milliseconds:)), time.isValid else {
            throw ChunkError("'\(key)' is no time between the years 1 and 9999 in milliseconds")
        }
        return time
    }

    fileprivate func number(in range: ClosedRange<Int64>) throws(ChunkError) -> Int64 {
        guard let integer, range.contains(integer) else {
            throw ChunkError("'\(key)' is no integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }
}

/// Why a message is not read: one line.
struct ChunkError: Error, Equatable {
    var message: String

    init(_ message: String) {
        self.message = message
    }

    fileprivate init(_ part: String, _ fault: JSONFault) {
        message = "\(part) is not valid JSON: \(fault.code)"
    }
}
