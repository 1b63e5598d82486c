internal import AnalyticsCore
internal import AnalyticsJSON
internal import NIOCore

/// Figures sent with a second, as of the time of sending; `nil` if unknown.
struct LiveFigures: Sendable {
    var users5: Int64?
    var users30: Int64?
    var usersAt: Timestamp?
    /// When the oldest in-flight event of the last hour was accepted.
    var waitsSince: Timestamp?
    /// The same for the last day, updated less often.
    var oldestWait: Timestamp?
}

/// A second as a server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html). Pure.
enum LiveEvent {
    /// A comment, which clients ignore.
    static let heartbeat = ByteBuffer(string: ":\n\n")
    /// Sets the client's delay before a reconnect, in milliseconds.
    static let beginning = ByteBuffer(string: "retry: 2000\n\n")

    /// A larger event is sent with its id, type, source and timestamp only.
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
        // JSON has line breaks only between tokens, and the writer emits none.
        var bytes = ByteBuffer(string: "id: \(live.second)\nevent: second\ndata: ")
        bytes.writeBytes(writer.bytes)
        bytes.writeString("\n\n")
        return bytes
    }
}

extension JSONWriter {
    fileprivate mutating func members(of figures: LiveFigures, at now: Timestamp) {
        // The oldest event may have been stored since the look-up.
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
