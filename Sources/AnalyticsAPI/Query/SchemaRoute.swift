internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird

/// Lists types, sources, and the properties of events.
struct SchemaRoute: Sendable {
    let reader: EventReader
    let engine: QueryEngine
    let clock: WallClock
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    /// Types and sources in the response, the most frequent ones.
    private static let names = 1_000
    /// The number of these that get the times of their first and last event: each takes two look-ups.
    private static let spans = 50

    var routes: [Route] { [Route(.get, "/api/v1/schema", .read, schema)] }

    private func schema(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let parameters = try QueryParameters(request, allowed: ["type", "source", "from", "to", "sample"])
        let selection = try parameters.selection(of: principal.project)
        let sample = try parameters.integer("sample", in: EventSchema.samples) ?? EventSchema.defaultSample
        let now = clock.now()
        let types = try await names(of: .type, selection, context)
        let sources = try await names(of: .source, selection, context)
        let schema = try await reader.schema(selection, sample: sample, for: context.asker)
        let lease = answers.lease(for: principal)
        try lease.hold((types.count + sources.count + schema.properties.count) * 512)
        let begin = JSONPart.once { writer in
            writer.member("asOf", now.rfc3339)
            writer.member("sampled", Int64(schema.events))
            writer.key("isCut")
            writer.boolean(schema.isCut)
        }
        let properties = JSONPart.list("properties", of: schema.properties) { property, writer in writer.property(property) }
        return .json(
            capacity: 4_096, holding: lease, [begin] + Self.list("types", types) + Self.list("sources", sources) + properties)
    }

    private struct Name: Sendable {
        var name: String
        var count: Int64
        var span: ClosedRange<Timestamp>?
    }

    private func names(of grouping: CountQuery.Grouping, _ selection: Selection, _ context: APIRequestContext) async throws -> [Name] {
        let counts = try await engine.counts(CountQuery(selection, grouping: grouping, limit: Self.names), for: context.asker).counts
        var names: [Name] = []
        for (name, count) in counts.groups {
            var own = selection
            if grouping == .type { own.types = [name] } else { own.sources = [name] }
            let span = names.count < Self.spans ? try await reader.span(own, for: context.asker) : nil
            names.append(Name(name: name, count: count, span: span))
        }
        return names
    }

    private static func list(_ key: StaticString, _ names: [Name]) -> [JSONPart] {
        JSONPart.list(key, of: names) { name, writer in
            writer.beginObject()
            writer.member("name", name.name)
            writer.member("count", name.count)
            writer.span(name.span?.lowerBound, name.span?.upperBound)
            writer.endObject()
        }
    }
}

extension JSONWriter {
    fileprivate mutating func property(_ property: EventSchema.Property) {
        beginObject()
        member("path", property.path)
        member("events", Int64(property.events))
        key("kinds")
        beginObject()
        for kind in EventSchema.Kind.allCases {
            guard let count = property.kinds[kind] else { continue }
            key(kind.rawValue)
            integer(Int64(count))
        }
        endObject()
        key("examples")
        beginArray()
        for example in property.examples { groupKey(GroupKey(example)) }
        endArray()
        span(property.first, property.last)
        endObject()
    }

    fileprivate mutating func span(_ first: Timestamp?, _ last: Timestamp?) {
        key("first")
        if let first { string(first.rfc3339) } else { json("null".utf8) }
        key("last")
        if let last { string(last.rfc3339) } else { json("null".utf8) }
    }
}
