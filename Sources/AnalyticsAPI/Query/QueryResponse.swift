internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// Stored events and counts as responses. Pure.
enum QueryResponse {
    static func page(_ events: [StoredEvent], next: EventCursor?, holding lease: ByteBudget.Lease) -> Response {
        let end = JSONPart.once { writer in
            writer.key("nextCursor")
            if let next { writer.string(next.text) } else { writer.json("null".utf8) }
        }
        return .json(
            capacity: 64 + events.count * 512, holding: lease, JSONPart.list("events", of: events) { $1.event($0) } + [end])
    }

    /// The largest groups, and the sum of the others.
    static func counts(_ counts: Counts, _ query: CountQuery, isCached: Bool, settled: String) -> QuestionAnswer {
        let begin = JSONPart.once { writer in
            writer.key("from")
            writer.timestamp(query.from)
            writer.key("to")
            writer.timestamp(query.to)
            writer.member("total", counts.total)
            writer.key("counts")
            writer.beginObject()
        }
        let groups = JSONPart.each(counts.groups) { group, writer in
            writer.key(group.name)
            writer.integer(group.count)
        }
        let end = JSONPart.once { writer in
            writer.endObject()
            writer.member("other", counts.other)
        }
        return QuestionAnswer(
            headers: [.xCache: isCached ? "HIT" : "MISS"], size: counts.size, capacity: 128 + counts.groups.count * 32,
            parts: [begin, groups, end], settled: settled)
    }
}

extension HTTPField.Name {
    static let xCache = HTTPField.Name("X-Cache")!
}

extension JSONWriter {
    mutating func event(_ stored: StoredEvent) {
        beginObject()
        members(of: stored)
        endObject()
    }

    /// A stored event with the field names of the API.
    mutating func members(of stored: StoredEvent) {
        let event = stored.event
        member("project", event.project.name)
        member("id", event.id)
        member("type", event.type)
        member("source", event.source)
        member("timestamp", event.timestamp.rfc3339)
        if let original = event.clientTimestamp, original != event.timestamp { member("originalTimestamp", original.rfc3339) }
        member("data", event.data)
        member("correlationId", event.correlationId)
        member("metadata", event.metadata)
        member("userId", event.userId)
        member("anonymousId", event.anonymousId)
        member("visitorId", event.visitorId)
        member("sessionId", event.sessionId)
        member("receivedAt", event.receivedAt.rfc3339)
        member("processedAt", stored.processedAt.rfc3339)
        member("context", stored.context)
    }

    fileprivate mutating func timestamp(_ timestamp: Timestamp?) {
        if let timestamp { string(timestamp.rfc3339) } else { json("null".utf8) }
    }
}
