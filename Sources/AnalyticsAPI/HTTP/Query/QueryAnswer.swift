internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

extension JSONWriter {
    /// A stored event, as api.md names its fields.
    mutating func event(_ stored: StoredEvent) {
        let event = stored.event
        beginObject()
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
        member("sessionId", event.sessionId)
        member("receivedAt", event.receivedAt.rfc3339)
        member("processedAt", stored.processedAt.rfc3339)
        member("context", stored.context)
        endObject()
    }

    /// The named groups, largest first, and the sum of the others.
    mutating func counts(_ counts: Counts, _ query: CountQuery) {
        key("from")
        timestamp(query.from)
        key("to")
        timestamp(query.to)
        member("total", counts.total)
        key("counts")
        beginObject()
        for (name, count) in counts.groups {
            key(name)
            integer(count)
        }
        endObject()
        member("other", counts.other)
    }

    private mutating func timestamp(_ timestamp: Timestamp?) {
        if let timestamp { string(timestamp.rfc3339) } else { json("null".utf8) }
    }
}
