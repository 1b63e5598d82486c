/// Small messages of several requests, joined into one; each is a section of it: `{"v":2,"sections":[{"v":1,…},{"v":1,…}]}`. A single
/// message is not changed.
///
/// A message costs the broker and both ends as much as a hundred events in it. Concurrent requests with one event each therefore share a
/// message. Read by ``EnvelopeDecoder``.
public struct JoinedMessage {
    private static let prefix = Array(#"{"v":\#(EnvelopeVersion.joined),"sections":["#.utf8)
    private static let suffix = Array("]}".utf8)

    private let first: OutgoingMessage
    /// The sections; empty until there are two.
    private var body: [UInt8] = []
    private var events: Int

    public init(_ first: OutgoingMessage) {
        self.first = first
        events = first.events
    }

    /// Returns false and adds nothing if one of them is not joinable, or if the result would exceed the limits of a message
    /// (``EnvelopeEncoder``).
    public mutating func add(_ message: OutgoingMessage) -> Bool {
        let start = body.isEmpty ? Self.prefix.count + first.body.count : body.count
        guard first.isJoinable, message.isJoinable, events + message.events <= EnvelopeEncoder.maximumEvents,
            start + 1 + message.body.count + Self.suffix.count <= EnvelopeEncoder.targetBytes
        else { return false }
        if body.isEmpty { body = Self.prefix + first.body }
        body.append(UInt8(ascii: ","))
        body += message.body
        events += message.events
        return true
    }

    public var message: OutgoingMessage {
        body.isEmpty ? first : OutgoingMessage(body: body + Self.suffix, events: events, isJoinable: true)
    }
}
