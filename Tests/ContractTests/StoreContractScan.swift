import AnalyticsCore
import AnalyticsJSON
import Foundation
import TestSupport
import Testing

@Suite("Store contract: events one by one", .timeLimit(.minutes(3)))
struct StoreContractScan {
    private static let hour = [noon..<noon + .seconds(3600)]

    @Test("oldest first, ties by id, smallest bytes first", arguments: StoreBackend.available)
    func order(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            // As in the listing: neither UTF-16 nor a locale decides.
            let tied = ["B", "a", "e\u{301}", "z", "é", "～", "😀"]
            try await store.add(tied.shuffled().map { stored($0) })
            try await store.add([stored("newer", at: noon + .milliseconds(1)), stored("older", at: noon - .milliseconds(1))])
            let ids = try await store.scan(Selection(project: "p"), in: [noon - .seconds(1)..<noon + .seconds(1)]).map(\.id)
            #expect(ids.map { bytes($0) } == (["older"] + tied + ["newer"]).map { bytes($0) })
        }
    }

    @Test("ranges stand for the selection's own: what lies in one of them comes, once", arguments: StoreBackend.available)
    func ranges(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<20).map { stored("\($0)", at: noon + .milliseconds($0)) })
            func ids(_ ranges: [Range<Int>]) async throws -> [String] {
                let selection = Selection(project: "p", from: noon + .milliseconds(3), to: noon + .milliseconds(4))
                let ranges = ranges.map { noon + .milliseconds($0.lowerBound)..<noon + .milliseconds($0.upperBound) }
                return try await store.scan(selection, in: ranges).map(\.id)
            }
            #expect(try await ids([]) == [])
            #expect(try await ids([5..<5]) == [])
            #expect(try await ids([-9..<0, 20..<99]) == [])
            #expect(try await ids([2..<5]) == ["2", "3", "4"])
            #expect(try await ids([-5..<1, 3..<3, 7..<8, 8..<10, 19..<50]) == ["0", "7", "8", "9", "19"])
            #expect(try await ids((0..<20).map { $0..<$0 + 1 }) == (0..<20).map(String.init))
            let everything = [Timestamp.earliest..<Timestamp(milliseconds: .max)]
            #expect(try await store.scan(Selection(project: "p"), in: everything).count == 20)
            #expect(try await store.scan(Selection(project: "q"), in: everything) == [])
        }
    }

    @Test("every field, there or not, whatever text it holds", arguments: StoreBackend.available)
    func fields(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let texts = ["$ne", "a.b", "a\u{0}b", "e\u{301}", "é", "", "'\"\\", "\u{301}"]
            let events = texts.enumerated().flatMap { index, text in
                let time = noon + .milliseconds(index)
                let odd = stored(
                    "i\(text)", type: text, source: text, at: time, userId: text, anonymousId: text, correlationId: text, sessionId: text)
                return [odd, stored("j\(text)", at: time)]
            }
            // One that a store does not take is none of its events.
            let outcomes = try await store.insert(events)
            let kept = zip(events, outcomes).filter { $0.1 == .stored }.map { ScannedEvent($0.0.event, values: []) }
            #expect(kept.count >= events.count - 2)
            let scanned = try await store.scan(Selection(project: "p"), in: Self.hour)
            #expect(scanned == kept)
            for (event, other) in zip(scanned, kept) {
                #expect([event.id, event.type, event.source].map { bytes($0) } == [other.id, other.type, other.source].map { bytes($0) })
                #expect(
                    [event.userId, event.anonymousId, event.sessionId].map { bytes($0) }
                        == [other.userId, other.anonymousId, other.sessionId].map { bytes($0) })
            }
        }
    }

    @Test("what a selection lists is what it scans", arguments: StoreBackend.available)
    func selections(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<240).map(StoreContractSelections.event))
            let names = Array(StoreContractSelections.names)
            let others = [
                Selection(project: "p"), Selection(project: "p", types: ["t2"]), Selection(project: "p", sources: ["s1"]),
                Selection(project: "p", types: ["t0", "t0", "none", "t2"], sources: ["s0"]),
                Selection(project: "p", userIds: names + names), Selection(project: "p", types: (0..<99).map { "t\($0)" }),
                Selection(project: "p", userIds: (0..<95).map { "u\($0)" } + names), Selection(project: "p", anonymousIds: ["é"]),
            ]
            for selection in StoreContractSelections.selections + others {
                for ranges in StoreContractSelections.ranges {
                    var listed: [String] = []
                    for range in ranges {
                        var part = selection
                        (part.from, part.to) = (range.lowerBound, range.upperBound)
                        listed += try await store.ids(part).reversed()
                    }
                    #expect(try await store.scan(selection, in: ranges).map(\.id) == listed, "\(selection) \(ranges)")
                }
            }
        }
    }

    @Test("thousands of events, many at one moment, come each once and no more of them than are taken", arguments: StoreBackend.available)
    func thousands(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            // A third at one moment, the others seven a millisecond; ids in no order.
            let events = (0..<6_000).map { index in
                let id = index * 7_919 % 6_000
                return stored(
                    "\(id)", type: "t\(index % 3)", at: noon + .milliseconds(index < 2_000 ? 50 : index / 7), data: #"{"n":\#(id)}"#,
                    userId: "u\(index % 5)")
            }
            for start in stride(from: 0, to: events.count, by: 1_000) { try await store.add(Array(events[start..<start + 1_000])) }
            let path = try PropertyPath("data.n")
            for users in [[], ["u1"], ["u0", "u3", "u4"]] {
                let selection = Selection(project: "p", types: ["t0", "t1"], userIds: users)
                let expected = events.filter { $0.event.type != "t2" && (users.isEmpty || users.contains($0.event.userId ?? "")) }
                    .sorted { a, b in
                        a.event.timestamp == b.event.timestamp
                            ? a.event.id.utf8.lexicographicallyPrecedes(b.event.id.utf8) : a.event.timestamp < b.event.timestamp
                    }
                let scanned = try await store.scan(selection, in: Self.hour, reading: [path])
                #expect(scanned.map(\.id) == expected.map(\.event.id))
                #expect(scanned.allSatisfy { $0.values == [[.integer(Int64($0.id)!)]] })
                for limit in [1, 999, 1_000, 1_001, expected.count - 1, expected.count, .max] {
                    let first = try await store.scanEvents(selection, in: Self.hour, reading: [], into: FirstEvents(limit)).events
                    #expect(first.map(\.id) == scanned.prefix(limit).map(\.id))
                }
            }
        }
    }

    // MARK: Values

    struct Case: Sendable {
        var path: String
        var data: String
        var values: [JSONScalar]

        init(_ path: String, _ data: String, _ values: JSONScalar...) {
            (self.path, self.data, self.values) = (path, data, values)
        }
    }

    static let cases: [Case] = [
        Case("data.a", #"{"a":1}"#, .integer(1)), Case("data.a", #"{"a":"x"}"#, .string("x")), Case("data.a", #"{"a":null}"#, .null),
        Case("data.a", #"{"a":[true,false]}"#, .boolean(true), .boolean(false)), Case("data.a", #"{"a":{"b":1}}"#), Case("data.a", "{}"),
        Case("data.a", #"{"a":[]}"#), Case("data.a", "1"), Case("data.a", "null"), Case("data.a", #""a""#), Case("data.a", #"["a"]"#),
        Case("data.a", #"{"a":[1,[2],{"a":3},null,[[4]],"5"]}"#, .integer(1), .null, .string("5")),
        Case("data.a", #"[{"a":1},{"b":2},{"a":[3,4]},[{"a":5}],6]"#, .integer(1), .integer(3), .integer(4)),
        Case("data.a.b", #"{"a":{"b":"x"}}"#, .string("x")), Case("data.a.b", #"{"a.b":"x"}"#), Case("data.a.b", #"{"a":"b"}"#),
        Case("data.a.b", #"{"a":[{"b":1},[{"b":2}],{"b":[3,[4]]},{"c":{"b":5}},{"b":{"b":6}}]}"#, .integer(1), .integer(3)),
        Case("data.a.b.c", #"{"a":[{"b":[{"c":1},{"c":[2]}]},{"b":{"c":null}}]}"#, .integer(1), .integer(2), .null),
        Case("data.n", #"{"n":9007199254740993}"#, .integer(9_007_199_254_740_993)),
        Case("data.n", #"{"n":[9223372036854775807,-9223372036854775808]}"#, .integer(.max), .integer(.min)),
        Case(
            "data.n", #"{"n":[1.0,0.1,-0.0,0,1e+300,5e-324]}"#, .double(1), .double(0.1), .double(-0.0), .integer(0), .double(1e300),
            .double(.leastNonzeroMagnitude)),
        Case("data.0", #"{"0":"x"}"#, .string("x")), Case("data.0", #"["x"]"#), Case("data.0", #"[{"0":"x"}]"#, .string("x")),
        Case("data.a.0", #"{"a":["x"]}"#), Case("data.a.0", #"{"a":{"0":"x"}}"#, .string("x")),
        Case("data.a.0", #"{"a":[["x"],{"0":["y"]}]}"#, .string("y")), Case("data.0.1", #"{"0":[{"1":1},2]}"#, .integer(1)),
        Case("data.é", "{\"e\u{301}\":1,\"é\":2}", .integer(2)), Case("data.e\u{301}", "{\"e\u{301}\":1,\"é\":2}", .integer(1)),
        Case(
            "data.s", "{\"s\":[\"e\u{301}\",\"é\",\"\",\"a\\u0000b\",\"\\\"\\\\\",\"😀\"]}", .string("e\u{301}"), .string("é"), .string(""),
            .string("a\u{0}b"), .string("\"\\"), .string("😀")),
        Case("data.k$x.'\"\\", #"{"k$x":{"'\"\\":"v"},"$k":1}"#, .string("v")), Case("data.a", #"{"":{"a":1},"$a":2}"#),
        Case("data.id", #"{"id":1,"_id":2}"#, .integer(1)), Case("data._id", #"{"_id":2,"id":1}"#, .integer(2)),
    ]

    @Test("a path gives the scalars that it leads to, in their order, by kind and to the bit", arguments: StoreBackend.available)
    func values(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for (number, test) in Self.cases.enumerated() {
                let project: ProjectID = "case\(number)"
                var other = stored("b", project: project, data: #"{"other":1}"#)
                other.context = JSONText(normalised: test.data)
                try await store.add([stored("a", project: project, data: test.data), other, stored("c", project: project, data: nil)])
                let inContext = "context." + String(test.path.dropFirst(5))
                let paths = try [test.path, inContext, test.path].map { try PropertyPath($0) }
                let scanned = try await store.scan(Selection(project: project), in: Self.hour, reading: paths)
                let found = scanned.map { $0.values.map { $0.map(exact) } }
                let expected = test.values.map(exact)
                #expect(found == [[expected, [], expected], [[], expected, []], [[], [], []]], "\(test.path) in \(test.data)")
            }
        }
    }

    @Test("random documents give what a plain walk finds", arguments: StoreBackend.available)
    func random(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for seed in 0..<12 as Range<UInt64> {
                var random = Seeded(seed)
                let project: ProjectID = "seed\(seed)"
                let events = (0..<80).map { _ in
                    Documents(
                        data: random.chance(90) ? Document(&random, depth: 5) : nil,
                        context: random.chance(70) ? Document(&random, depth: 3) : nil)
                }
                try await store.add(
                    events.enumerated().map { index, event in
                        var stored = stored("\(index)", project: project, at: noon + .milliseconds(index), data: event.data?.text)
                        stored.context = event.context.map { JSONText(normalised: $0.text) }
                        return stored
                    })
                let paths = try (0..<8).map { _ in
                    let keys = (0..<1 + random.below(3)).map { _ in Document.pathKeys[random.below(Document.pathKeys.count)] }
                    return try PropertyPath((random.chance(70) ? "data." : "context.") + keys.joined(separator: "."))
                }
                let scanned = try await store.scan(Selection(project: project), in: Self.hour, reading: paths)
                let expected = events.map { event in
                    paths.map { path in (path.root == .data ? event.data : event.context)?.scalars(at: path.keys[...]).map(exact) ?? [] }
                }
                #expect(scanned.map { $0.values.map { $0.map(exact) } } == expected, "seed \(seed)")
            }
        }
    }
}

/// Tells apart what `==` does not: -0.0 from 0.0, and texts that are canonically equal.
private func exact(_ scalar: JSONScalar) -> String {
    switch scalar {
    case .string(let string): "\(Array(string.utf8))"
    case .double(let double): "double \(double.bitPattern)"
    default: "\(scalar)"
    }
}

/// Of one event.
private struct Documents {
    var data: Document?
    var context: Document?
}

/// A JSON document as Swift values.
private indirect enum Document {
    case scalar(JSONScalar)
    case array([Document])
    case object([(key: String, value: Document)])

    static let pathKeys = ["a", "b", "0", "1", "é", "e\u{301}"]
    private static let keys = pathKeys + ["a.b", "", "$a"]
    private static let scalars: [JSONScalar] = [
        .null, .boolean(true), .boolean(false), .integer(0), .integer(-1), .integer(9_007_199_254_740_993), .integer(.max), .integer(.min),
        .double(0.5), .double(-0.0), .double(3), .double(1e300), .double(.leastNonzeroMagnitude), .string(""), .string("é"),
        .string("e\u{301}"),
        .string("a\u{0}b"), .string("null"), .string("1"),
    ]

    init(_ random: inout Seeded, depth: Int) {
        switch depth == 0 ? 0 : random.below(10) {
        case 0...2: self = .scalar(Self.scalars[random.below(Self.scalars.count)])
        case 3...5: self = .array((0..<random.below(4)).map { _ in Document(&random, depth: depth - 1) })
        default:
            let keys = Self.keys.shuffled(using: &random).prefix(random.below(6))
            self = .object(keys.map { (key: $0, value: Document(&random, depth: depth - 1)) })
        }
    }

    var text: String {
        switch self {
        case .scalar(.null): "null"
        case .scalar(.boolean(let boolean)): "\(boolean)"
        case .scalar(.integer(let integer)): "\(integer)"
        case .scalar(.double(let double)): "\(double)"
        case .scalar(.string(let string)): JSONText(string: string).text
        case .array(let elements): "[\(elements.map(\.text).joined(separator: ","))]"
        case .object(let members): "{\(members.map { "\(JSONText(string: $0.key).text):\($0.value.text)" }.joined(separator: ","))}"
        }
    }

    func scalars(at keys: ArraySlice<String>, inArray: Bool = false) -> [JSONScalar] {
        switch self {
        case .scalar(let scalar): keys.isEmpty ? [scalar] : []
        case .array(let elements): inArray ? [] : elements.flatMap { $0.scalars(at: keys, inArray: true) }
        case .object(let members):
            members.filter { keys.first.map($0.key.equalsUTF8) ?? false }.flatMap { $0.value.scalars(at: keys.dropFirst()) }
        }
    }
}

/// The first events that a scan gives.
struct FirstEvents: EventScanReducer {
    let limit: Int
    private(set) var events: [ScannedEvent] = []

    init(_ limit: Int = .max) {
        self.limit = limit
    }

    mutating func add(_ event: ScannedEvent) -> Bool {
        events.append(event)
        return events.count < limit
    }
}

extension EventScanner {
    func scan(
        _ selection: Selection, in ranges: [Range<Timestamp>], reading paths: [PropertyPath] = []
    ) async throws(StoreError) -> [ScannedEvent] {
        try await scanEvents(selection, in: ranges, reading: paths, into: FirstEvents()).events
    }
}
