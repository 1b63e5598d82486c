/// Links an anonymous id to a user: the content of an event of type ``eventType`` with both ids.
struct IdentityLink: Sendable, Hashable {
    /// The event's timestamp, in milliseconds since its UTC day began.
    var time: UInt32
    var anonymous: ActorKey
    var user: BytewiseString

    /// The type of the events that link an anonymous id to a user.
    static let eventType = "$identify"

    /// `nil` if the event links nothing.
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

    /// The links that can matter: the earliest of each anonymous id and minute; of these, the one with the smallest user id. Other links
    /// are never decisive, for any selection of minutes.
    static func decisive(_ links: [IdentityLink]) -> [IdentityLink] {
        struct Key: Hashable {
            var anonymous: ActorKey
            var minute: Int
        }
        var first: [Key: IdentityLink] = [:]
        for link in links {
            let key = Key(anonymous: link.anonymous, minute: link.minute)
            guard let before = first[key], !link.precedes(before) else {
                first[key] = link
                continue
            }
        }
        return first.values.sorted { ($0.time, $0.anonymous) < ($1.time, $1.anonymous) }
    }

    func precedes(_ other: IdentityLink) -> Bool { (time, user) < (other.time, other.user) }
}

// MARK: Encoding in segments

extension IdentityLink {
    private static let blobBytes = 512 << 10

    /// Split into blobs of about 512 KiB.
    static func blobs(_ links: [IdentityLink]) -> [[UInt8]] {
        var blobs: [[UInt8]] = []
        var (part, bytes): ([IdentityLink], Int) = ([], 0)
        for link in links {
            part.append(link)
            bytes += link.user.text.utf8.count + 24
            guard bytes >= blobBytes else { continue }
            blobs.append(encode(part))
            (part, bytes) = ([], 0)
        }
        return part.isEmpty ? blobs : blobs + [encode(part)]
    }

    /// The format, the count, then per link: the time, the anonymous id's key, and the user id with its length before it.
    static func encode(_ links: [IdentityLink]) -> [UInt8] {
        var writer = TableWriter(bytes: [SegmentChunk.format])
        writer.number(Int64(links.count))
        for link in links {
            writer.number(Int64(link.time))
            writer.word(link.anonymous.high)
            writer.word(link.anonymous.low)
            writer.text(link.user.text)
        }
        return SegmentSeal.sealed(writer.bytes)
    }

    /// The bytes are untrusted.
    static func decode(_ bytes: [UInt8]) throws(GroupTable.Unreadable) -> [IdentityLink] {
        try SegmentSeal.opened(bytes).withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
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
