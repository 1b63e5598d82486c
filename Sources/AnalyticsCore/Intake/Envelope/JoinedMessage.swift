/// Messages of several requests that go onto the queue as one, each a section of it:
/// `{"v":2,"sections":[{"v":1,…},{"v":1,…}]}`. One alone stays as it is.
///
/// A message costs the broker and both ends as much as a hundred events in it, so requests of one event each, sent at the same time, share one.
/// ``EnvelopeDecoder`` reads it.
public struct JoinedMessage {
    private static let prefix = Array(#"{"v":\#(EnvelopeVersion.joined),"sections":["#.utf8)
    private static let suffix = Array("]}".utf8)

    private let first: OutgoingMessage
    /// The sections, once there are two.
    private var body: [UInt8] = []
    private var events: Int

    public init(_ first: OutgoingMessage) {
        self.first = first
        events = first.events
    }

    /// Returns false, and takes nothing, where one of them is not to be joined, or the whole would be larger than a message of one request
    /// may be (``EnvelopeEncoder``).
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
