internal import AnalyticsCore
internal import AnalyticsJSON
internal import NIOCore

/// What is shown beside a second, as of the time when it is told; `nil` where it is not known.
struct LiveFigures: Sendable {
    var users5: Int64?
    var users30: Int64?
    var usersAt: Timestamp?
    /// Since when the oldest event of the last hour in flight waits.
    var waitsSince: Timestamp?
    /// The same of the last day, looked up now and then.
    var oldestWait: Timestamp?
}

/// A second as a server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html). Pure.
enum LiveEvent {
    /// A comment, which clients pass over.
    static let heartbeat = ByteBuffer(string: ":\n\n")
    /// How long a client waits before it comes back.
    static let beginning = ByteBuffer(string: "retry: 2000\n\n")

    /// Bytes of an event that is shown as it is; of a larger one what it says of itself.
    static let eventBytes = 2_048

    static func bytes(_ live: LiveSecond, rate: Double, _ figures: LiveFigures, at now: Timestamp) -> ByteBuffer {
        var writer = JSONWriter(reservingCapacity: 4_096)
        writer.beginObject()
        writer.member("second", Timestamp(milliseconds: live.second * 1_000).rfc3339)
        writer.member("events", live.counts.total)
        writer.key("types")
        writer.beginArray()
        for (type, count) in live.counts.groups {
            writer.beginObject()
            writer.member("type", type)
            writer.member("events", count)
            writer.endObject()
        }
        writer.endArray()
        writer.member("other", live.counts.other)
        writer.key("rate")
        writer.double((rate * 10).rounded() / 10)
        writer.members(of: figures, at: now)
        writer.key("newest")
        writer.beginArray()
        for event in live.newest { writer.clipped(event) }
        writer.endArray()
        writer.endObject()
        // JSON has no line breaks but between its tokens, and we write none there.
        var bytes = ByteBuffer(string: "id: \(live.second)\nevent: second\ndata: ")
        bytes.writeBytes(writer.bytes)
        bytes.writeString("\n\n")
        return bytes
    }
}

extension JSONWriter {
    fileprivate mutating func members(of figures: LiveFigures, at now: Timestamp) {
        // What has waited longest may be settled since it was looked up.
        let waits = [figures.waitsSince, figures.oldestWait.flatMap { $0 < now - .seconds(3_600) ? $0 : nil }].compactMap(\.self).min()
        key("lagSeconds")
        double(waits.map { max(0, (now - $0).seconds) } ?? 0)
        key("users")
        beginObject()
        optional("last5Minutes", figures.users5)
        optional("last30Minutes", figures.users30)
        member("asOf", figures.usersAt?.rfc3339)
        endObject()
    }

    private mutating func optional(_ name: StaticString, _ value: Int64?) {
        key(name)
        if let value { integer(value) } else { json("null".utf8) }
    }

    fileprivate mutating func clipped(_ stored: StoredEvent) {
        var whole = JSONWriter(reservingCapacity: LiveEvent.eventBytes)
        whole.event(stored)
        guard whole.count > LiveEvent.eventBytes else { return json(whole.bytes) }
        let event = stored.event
        beginObject()
        member("id", event.id)
        member("type", event.type)
        member("source", event.source)
        member("timestamp", event.timestamp.rfc3339)
        key("isClipped")
        boolean(true)
        endObject()
    }
}
