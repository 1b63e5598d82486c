public import AnalyticsJSON

extension Erasure {
    /// Approximate size of its members in bytes.
    public var size: Int {
        let texts = (selection?.userIds ?? []) + (selection?.anonymousIds ?? []) + (selection?.types ?? []) + (selection?.sources ?? [])
        return texts.reduce(1_024) { $0 + 6 * $1.utf8.count } + (selection?.data ?? []).reduce(0) { $0 + 64 * $1.values.count }
    }
}

extension JSONWriter {
    /// The representation of an erasure in the API and the command line.
    public mutating func members(of erasure: Erasure) {
        member("id", erasure.id)
        member("project", erasure.project.name)
        member("state", erasure.state.rawValue)
        member("requestedAt", erasure.requestedAt.rfc3339)
        if let selection = erasure.selection {
            key("selection")
            beginObject()
            write(selection)
            endObject()
        }
        member("anonymousIds", Int64(erasure.identifiedCount))
        member("deletedEvents", erasure.deletedEvents)
        member("deletedDeadLetters", erasure.deletedDeadLetters)
        member("unreadDeadLetters", erasure.unreadDeadLetters)
        member("position", erasure.position?.rfc3339)
        member("doneAt", erasure.doneAt?.rfc3339)
        member("failure", erasure.failure)
    }

    private mutating func write(_ selection: Selection) {
        for (name, values) in [
            ("type", selection.types), ("source", selection.sources), ("userId", selection.userIds),
            ("anonymousId", selection.anonymousIds), ("correlationId", selection.correlationIds),
        ] as [(String, [String])] where !values.isEmpty { write(name, values) }
        for condition in selection.data { write("data." + condition.path.joined(separator: "."), condition.values) }
        member("from", selection.from?.rfc3339)
        member("to", selection.to?.rfc3339)
    }

    private mutating func write(_ name: String, _ values: [String]) {
        key(name)
        beginArray()
        for value in values { string(value) }
        endArray()
    }
}
