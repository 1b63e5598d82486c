/// Says that an anonymous id is a user: what an event of type ``eventType`` with both ids says.
struct IdentityLink: Sendable, Hashable {
    /// When the event happened, in milliseconds since its UTC day began.
    var time: UInt32
    var anonymous: ActorKey
    var user: BytewiseString

    /// The type of the events that join an anonymous id and a user.
    static let eventType = "$identify"

    /// `nil` where the event joins nothing.
    init?(_ event: ScannedEvent) {
        guard event.type.equalsUTF8(Self.eventType), let user = event.userId, let anonymous = event.anonymousId else { return nil }
        let day = Timestamp(day: event.timestamp.day)
        self.init(
            time: UInt32(truncatingIfNeeded: (event.timestamp - day).milliseconds), anonymous: ActorKey(.anonymous, anonymous),
            user: BytewiseString(user))
    }

    init(time: UInt32, anonymous: ActorKey, user: BytewiseString) {
        self.time = time
        self.anonymous = anonymous
        self.user = user
    }

    var minute: Int { Int(time / 60_000) }
}

// MARK: As segments keep them

extension IdentityLink {
    /// The format, how many, then each: the time, the anonymous id's key, and the user id with its length before it.
    static func encode(_ links: [IdentityLink]) -> [UInt8] {
        var writer = TableWriter(bytes: [SegmentChunk.format])
        writer.number(Int64(links.count))
        for link in links {
            writer.number(Int64(link.time))
            writer.word(link.anonymous.high)
            writer.word(link.anonymous.low)
            writer.text(link.user.text)
        }
        return writer.bytes
    }

    /// Anything may have written the bytes.
    static func decode(_ bytes: [UInt8]) throws(GroupTable.Unreadable) -> [IdentityLink] {
        try bytes.withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
            var cursor = TableCursor(buffer)
            guard try cursor.byte() == SegmentChunk.format else { throw .damaged }
            var links: [IdentityLink] = []
            for _ in 0..<(try cursor.length()) {
                let time = try cursor.number()
                guard time < 86_400_000 else { throw .damaged }
                let anonymous = ActorKey(high: try cursor.word(), low: try cursor.word())
                links.append(
                    IdentityLink(
                        time: UInt32(time), anonymous: anonymous, user: BytewiseString(try GroupTable.string(cursor.text()))))
            }
            guard cursor.isAtEnd else { throw .damaged }
            return links
        }
    }
}
