/// What one message on the queue holds: some events of one request.
///
/// JSON, so that an operator can read a dead letter: `{"v":1,"project":…,"request":…,"receivedAt":…,"address":…,"userAgent":…,
/// "waits":1,"events":[{"n":0,"id":…,…}]}`, times in milliseconds. A reader takes any `v` up to its own.
struct EventChunk: Equatable {
    var sender: Sender
    /// The request that waits for a ``DeliveryReport``.
    var waitingRequest: String?
    var events: [Event]
}

/// Fills messages with events up to a number and a size.
struct ChunkEncoder {
    /// A message holds no more events than this, and is closed once it has this many bytes (an event may be larger by itself). Small
    /// enough that a prefetch of hundreds of messages fits the memory, large enough that the broker's cost a message does not count.
    static let maximumEvents = 100
    static let targetBytes = 48 * 1024

    private let request: String
    private let sender: Sender
    private let isAwaited: Bool
    private var writer: JSONWriter
    private var count = 0
    private(set) var messages: [OutgoingMessage] = []

    init(request: String, sender: Sender, isAwaited: Bool = false) {
        self.request = request
        self.sender = sender
        self.isAwaited = isAwaited
        writer = JSONWriter()
    }

    mutating func append(_ event: Event, index: Int) {
        if count == 0 { begin(event) }
        writer.beginObject()
        writer.member("n", Int64(index))
        writer.member("id", event.id)
        writer.member("type", event.type)
        writer.member("source", event.source)
        writer.member("timestamp", event.timestamp.milliseconds)
        writer.member("clientTimestamp", event.clientTimestamp?.milliseconds)
        writer.member("data", event.data)
        writer.member("correlationId", event.correlationId)
        writer.member("metadata", event.metadata)
        writer.member("userId", event.userId)
        writer.member("sessionId", event.sessionId)
        writer.endObject()
        count += 1
        if count >= Self.maximumEvents || writer.count >= Self.targetBytes { close() }
    }

    mutating func finish() -> [OutgoingMessage] {
        if count > 0 { close() }
        return messages
    }

    private mutating func begin(_ event: Event) {
        writer = JSONWriter(reservingCapacity: Self.targetBytes + 4096)
        writer.beginObject()
        writer.member("v", EnvelopeVersion.current)
        writer.member("project", event.project)
        writer.member("request", request)
        writer.member("receivedAt", event.receivedAt.milliseconds)
        writer.member("address", sender.address)
        writer.member("userAgent", sender.userAgent)
        if isAwaited { writer.member("waits", 1) }
        writer.key("events")
        writer.beginArray()
    }

    private mutating func close() {
        writer.endArray()
        writer.endObject()
        messages.append(OutgoingMessage(body: writer.bytes, events: count))
        count = 0
    }
}

/// Reads a message back. Not thread-safe: one a task.
struct ChunkDecoder {
    private let parser = JSONParser()

    /// Throws a message for the dead letters when the body is not a chunk that this version understands.
    func decode(_ body: [UInt8]) throws(ChunkError) -> EventChunk {
        try PaddedBytes(body).withUnsafeBytes { (text) throws(ChunkError) in
            guard var raw = JSONRawMembers(text) else { throw ChunkError("not a JSON object") }
            var header = Header()
            while let (key, value) = try next(&raw) {
                if key == "events" {
                    return EventChunk(
                        sender: header.sender, waitingRequest: header.isAwaited ? header.request : nil,
                        events: try events(value, header))
                }
                try header.read(key, value)
            }
            throw ChunkError("no events")
        }
    }

    private func next(_ raw: inout JSONRawMembers) throws(ChunkError) -> (key: String, value: JSONSlice)? {
        do throws(JSONFault) { return try raw.next() } catch { throw ChunkError("broken JSON") }
    }

    private func events(_ text: JSONSlice, _ header: Header) throws(ChunkError) -> [Event] {
        guard var elements = JSONElements(text) else { throw ChunkError("'events' is no array") }
        var events: [Event] = []
        do throws(JSONFault) {
            while let element = try elements.next() {
                // One level more than the door allows: the chunk wraps data in nothing, but versions to come may.
                let members = try parser.members(of: element, maximumDepth: EventLimits.maximumDepth + 1)
                guard let event = Self.event(members, header) else { throw JSONFault(code: .syntax) }
                events.append(event)
            }
        } catch {
            throw ChunkError("event \(events.count) cannot be read: \(error.code)")
        }
        return events
    }

    private static func event(_ members: JSONMembers, _ header: Header) -> Event? {
        var event = Event(
            project: header.project, id: "", type: "", source: "", timestamp: header.receivedAt, receivedAt: header.receivedAt, receipt: "")
        var hasTimestamp = false
        members.each { member in
            if member.hasKey("n") {
                event.receipt = "\(header.request):\(member.integer ?? 0)"
            } else if member.hasKey("id") {
                event.id = member.string ?? ""
            } else if member.hasKey("type") {
                event.type = member.string ?? ""
            } else if member.hasKey("source") {
                event.source = member.string ?? ""
            } else if member.hasKey("timestamp") {
                hasTimestamp = member.integer != nil
                event.timestamp = Timestamp(milliseconds: member.integer ?? 0)
            } else if member.hasKey("clientTimestamp") {
                event.clientTimestamp = member.integer.map(Timestamp.init(milliseconds:))
            } else if member.hasKey("data") {
                event.data = member.json
            } else if member.hasKey("correlationId") {
                event.correlationId = member.string
            } else if member.hasKey("metadata") {
                event.metadata = member.json
            } else if member.hasKey("userId") {
                event.userId = member.string
            } else if member.hasKey("sessionId") {
                event.sessionId = member.string
            }
        }
        let isWhole = !event.id.isEmpty && !event.type.isEmpty && !event.source.isEmpty && !event.receipt.isEmpty && hasTimestamp
        return isWhole ? event : nil
    }

    /// The members before `events`.
    private struct Header {
        var project = Project.default
        var request = ""
        var receivedAt = Timestamp(milliseconds: 0)
        var sender = Sender()
        var isAwaited = false

        mutating func read(_ key: String, _ value: JSONSlice) throws(ChunkError) {
            switch key {
            case "v": try EnvelopeVersion.check(Int64(value.string))
            case "project": project = try string(value)
            case "request": request = try string(value)
            case "receivedAt":
                guard let milliseconds = Int64(value.string) else { throw ChunkError("'receivedAt' is no integer") }
                receivedAt = Timestamp(milliseconds: milliseconds)
            case "address": sender.address = try string(value)
            case "userAgent": sender.userAgent = try string(value)
            case "waits": isAwaited = value.string == "1"
            default: break
            }
        }

        /// A raw string; only a user agent may hold escapes, so the plain case is quick.
        private func string(_ value: JSONSlice) throws(ChunkError) -> String {
            let raw = value.bytes
            let quote = UInt8(ascii: "\"")
            guard raw.count >= 2, raw.first == quote, raw.last == quote else { throw ChunkError("a string is expected in the header") }
            guard raw.contains(UInt8(ascii: "\\")) else { return String(decoding: raw.dropFirst().dropLast(), as: UTF8.self) }
            let decoded = PaddedBytes("{\"s\":\(value.string)}").withUnsafeBytes { slice in
                JSONParser.withMembers(of: slice, maximumDepth: 1) { $0["s"]?.string }
            }
            guard let decoded else { throw ChunkError("a string is expected in the header") }
            return decoded
        }
    }
}

struct ChunkError: Error, Equatable {
    var message: String

    init(_ message: String) {
        self.message = message
    }
}

extension ChunkEncoder {
    /// One event as a chunk of its own: what a dead letter holds, and what a replay publishes.
    static func single(_ event: Event, sender: Sender) -> [UInt8] {
        let (request, index) = event.receiptParts
        var encoder = ChunkEncoder(request: request, sender: sender)
        encoder.append(event, index: index)
        return encoder.finish()[0].body
    }
}

extension Event {
    /// A receipt is "request:position".
    var receiptParts: (request: String, index: Int) {
        guard let (request, position) = receipt.cutUTF8(atLast: ":"), let index = Int(position) else { return (receipt, 0) }
        return (String(request), index)
    }
}
