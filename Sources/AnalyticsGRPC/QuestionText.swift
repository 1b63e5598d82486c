internal import AnalyticsJSON

/// Writes questions as the JSON bodies of their routes. Pure.
enum QuestionText {
    static func funnel(_ question: Analytics_FunnelRequest) -> [UInt8] {
        object { writer in
            writer.list("steps", question.steps) { step, writer in writer.members(step) }
            writer.given("order", question.order)
            if question.hasWindowSeconds { writer.member("windowSeconds", question.windowSeconds) }
            writer.given("groupBy", question.groupBy)
            if question.hasLimit { writer.member("limit", Int64(question.limit)) }
            if !question.exclusions.isEmpty {
                writer.list("exclusions", question.exclusions) { exclusion, writer in
                    writer.members(exclusion.events)
                    if exclusion.hasAfterStep { writer.member("afterStep", Int64(exclusion.afterStep)) }
                    if exclusion.hasBeforeStep { writer.member("beforeStep", Int64(exclusion.beforeStep)) }
                }
            }
            writer.members(question.selection)
        }
    }

    static func retention(_ question: Analytics_RetentionRequest) -> [UInt8] {
        object { writer in
            if question.hasFirst { writer.object("first") { $0.members(question.first) } }
            if question.hasReturning { writer.object("returning") { $0.members(question.returning) } }
            if question.hasFirstEver {
                writer.key("firstEver")
                writer.boolean(question.firstEver)
            }
            writer.given("interval", question.interval)
            if question.hasPeriods { writer.member("periods", Int64(question.periods)) }
            writer.given("mode", question.mode)
            writer.members(question.selection)
        }
    }

    private static func object(_ members: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        members(&writer)
        writer.endObject()
        return writer.bytes
    }
}

extension JSONWriter {
    /// Leaves out an empty value: it means "absent".
    fileprivate mutating func given(_ name: StaticString, _ value: String) {
        if !value.isEmpty { member(name, value) }
    }

    fileprivate mutating func object(_ name: StaticString, _ members: (inout JSONWriter) -> Void) {
        key(name)
        beginObject()
        members(&self)
        endObject()
    }

    fileprivate mutating func list<Element>(_ name: StaticString, _ elements: [Element], _ members: (Element, inout JSONWriter) -> Void) {
        key(name)
        beginArray()
        for element in elements {
            beginObject()
            members(element, &self)
            endObject()
        }
        endArray()
    }

    private mutating func texts(_ name: StaticString, _ values: [String]) {
        guard !values.isEmpty else { return }
        key(name)
        beginArray()
        for value in values { string(value) }
        endArray()
    }

    private mutating func data(_ filters: [Analytics_DataFilter]) {
        guard !filters.isEmpty else { return }
        object("data") { writer in
            for filter in filters {
                writer.key(filter.path)
                writer.beginArray()
                for value in filter.values { writer.string(value) }
                writer.endArray()
            }
        }
    }

    fileprivate mutating func members(_ pattern: Analytics_EventPattern) {
        texts("types", pattern.types)
        data(pattern.data)
    }

    fileprivate mutating func members(_ selection: Analytics_Selection) {
        given("from", selection.from)
        given("to", selection.to)
        given("tz", selection.timeZone)
        if selection.includeBots { member("bots", "include") }
        if selection.hasMaxAgeSeconds { member("maxAge", Int64(selection.maxAgeSeconds)) }
        object("filters") { writer in
            writer.texts("types", selection.types)
            writer.texts("sources", selection.sources)
            writer.texts("userIds", selection.userIds)
            writer.texts("anonymousIds", selection.anonymousIds)
            writer.texts("correlationIds", selection.correlationIds)
            writer.data(selection.data)
        }
    }
}
