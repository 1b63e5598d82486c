public import AnalyticsJSON

/// The properties of events: paths under `data`, and the kinds of their values.
public struct EventSchema: Sendable, Equatable {
    /// The number of events in the sample.
    public private(set) var events = 0
    /// Sorted by the bytes of the path.
    public var properties: [Property] { found.values.sorted { BytewiseString($0.path) < BytewiseString($1.path) } }
    /// Whether there were more paths than ``pathLimit``.
    public private(set) var isCut = false

    private var found: [BytewiseString: Property] = [:]

    /// Maximum number of paths in an answer.
    public static let pathLimit = 500
    /// The sizes that a sample may have, in events.
    public static let samples = 1...10_000
    public static let defaultSample = 1_000
    private static let exampleLimit = 5
    /// Maximum bytes of a text used as an example.
    private static let exampleBytes = 100

    public struct Property: Sendable, Equatable {
        /// The name in questions, such as `data.cart.total`.
        public var path: String
        /// The number of events that have the property.
        public var events = 0
        /// The number of events with a value of this kind. An array counts as an array and as its elements.
        public var kinds: [Kind: Int] = [:]
        /// Distinct values, newest first.
        public var examples: [JSONScalar] = []
        public var first: Timestamp
        public var last: Timestamp
    }

    public enum Kind: String, Sendable, CaseIterable {
        case string, number, boolean, null, object, array
    }

    init() {}

    /// Adds events, newest first.
    mutating func add(_ events: [StoredEvent]) throws(JSONFault) {
        var parser = JSONParser()
        for stored in events { try add(stored.event, &parser) }
    }

    private mutating func add(_ event: Event, _ parser: inout JSONParser) throws(JSONFault) {
        events += 1
        guard let data = event.data else { return }
        let text = PaddedBytes(data.text)
        var seen: [BytewiseString: Set<Kind>] = [:]
        try walk(text, text.all, "data", event.timestamp, &parser, &seen)
        for (path, kinds) in seen {
            found[path]?.events += 1
            for kind in kinds { found[path]?.kinds[kind, default: 0] += 1 }
        }
    }

    private mutating func walk(
        _ text: PaddedBytes, _ place: Range<Int>, _ path: String, _ time: Timestamp, _ parser: inout JSONParser,
        _ seen: inout [BytewiseString: Set<Kind>], inArray: Bool = false
    ) throws(JSONFault) {
        let isRoot = path.equalsUTF8("data")
        if var members = JSONRawMembers(text, at: place) {
            if !isRoot, !note(path, .object, nil, time, &seen) { return }
            while let (key, value) = try members.next() {
                let name = try Self.string(text, key.lowerBound - 1..<key.upperBound + 1, &parser)
                // Paths that no question can name are left out.
                guard let path = try? PropertyPath("\(path).\(name)"), !name.utf8.contains(UInt8(ascii: ".")) else { continue }
                try walk(text, value, path.text, time, &parser, &seen)
            }
        } else if var elements = JSONElements(text, at: place) {
            if isRoot || !note(path, .array, nil, time, &seen) || inArray { return }
            while let element = try elements.next() { try walk(text, element, path, time, &parser, &seen, inArray: true) }
        } else if !isRoot {
            let scalar = try parser.withValue(of: text, at: place, maximumDepth: 1) { (value) throws(JSONFault) in
                value.scalar
            } fault: {
                $0
            }
            if let scalar { _ = note(path, Kind(scalar), scalar, time, &seen) }
        }
    }

    /// False if the limit of paths is reached.
    private mutating func note(
        _ path: String, _ kind: Kind, _ example: JSONScalar?, _ time: Timestamp, _ seen: inout [BytewiseString: Set<Kind>]
    ) -> Bool {
        let key = BytewiseString(path)
        if found[key] == nil {
            guard found.count < Self.pathLimit else {
                isCut = true
                return false
            }
            found[key] = Property(path: path, first: time, last: time)
        }
        seen[key, default: []].insert(kind)
        found[key]!.first = min(found[key]!.first, time)
        found[key]!.last = max(found[key]!.last, time)
        if let example, example != .null, found[key]!.examples.count < Self.exampleLimit, !found[key]!.examples.contains(example) {
            if case .string(let text) = example, text.utf8.count > Self.exampleBytes { return true }
            found[key]!.examples.append(example)
        }
        return true
    }

    private static func string(_ text: PaddedBytes, _ place: Range<Int>, _ parser: inout JSONParser) throws(JSONFault) -> String {
        let name = try parser.withValue(of: text, at: place, maximumDepth: 1) { (value) throws(JSONFault) in
            value.string
        } fault: {
            $0
        }
        return name ?? ""
    }
}

extension EventSchema.Kind {
    fileprivate init(_ scalar: JSONScalar) {
        switch scalar {
        case .string: self = .string
        case .integer, .double: self = .number
        case .boolean: self = .boolean
        case .null: self = .null
        }
    }
}

extension EventReader {
    /// The properties of the newest selected events. Throws the errors of ``page(_:after:limit:for:holding:)``.
    public func schema(_ selection: Selection, sample: Int, for asker: Asker = .staying) async throws -> EventSchema {
        var schema = EventSchema()
        var cursor: EventCursor?
        repeat {
            let page = try await page(selection, after: cursor, limit: min(1_000, sample - schema.events), for: asker)
            do throws(JSONFault) {
                try schema.add(page.events)
            } catch {
                throw StoreError(.misconfigured, operation: "events", "an event's data cannot be read")
            }
            cursor = page.next
        } while cursor != nil && schema.events < sample
        return schema
    }

    /// The timestamps of the first and the last selected event; `nil` if there is none.
    public func span(_ selection: Selection, for asker: Asker = .staying) async throws -> ClosedRange<Timestamp>? {
        guard let last = try await page(selection, after: nil, limit: 1, for: asker).events.first?.event.timestamp else { return nil }
        let first = try await oldest(selection, for: asker) ?? last
        return first <= last ? first...last : last...last
    }
}
