import AnalyticsCore
import Foundation
import TestSupport
import Testing

@Suite("Store contract: exports", .timeLimit(.minutes(3)))
struct StoreContractExport {
    private static let texts = ["é", "e\u{301}", "a b", "$in", "=1", "'", "\"", "a,b", "two\nlines", "\r", "😀", "\u{301}", "t.0", "%41&=+"]

    /// Many at a moment, of odd names.
    private static func events(_ count: Int, _ random: inout Seeded) -> [StoredEvent] {
        (0..<count).map { index in
            func text() -> String { texts[random.below(texts.count)] }
            let data = ["{\"n\":\(index % 4),\"p\":{\"0\":\"é\"}}", "{\"n\":[1,\"2\"],\"p\":[{\"0\":\"é\"}]}", "null", "-5"][
                random.below(4)]
            return stored(
                "\(text())\(index)", project: "default", type: text(), source: "s\(index % 2)",
                at: noon - .milliseconds(random.below(30) * 40_000),
                data: random.chance(10) ? nil : data, userId: random.chance(60) ? text() : nil,
                anonymousId: random.chance(30) ? text() : nil,
                correlationId: random.chance(30) ? text() : nil)
        }
    }

    private static func encoded(_ text: String) -> String { text.utf8.map { String(format: "%%%02X", $0) }.joined() }

    private static func filters(_ random: inout Seeded) -> String {
        var parameters: [String] = []
        for (name, percent) in [("type", 50), ("source", 20), ("userId", 25), ("anonymousId", 15), ("correlationId", 15)] {
            guard random.chance(percent) else { continue }
            for _ in 0...random.below(5) {
                parameters.append("\(name)=\(encoded(name == "source" ? "s\(random.below(3))" : texts[random.below(texts.count)]))")
            }
        }
        if random.chance(20) { parameters.append("data.n=\(random.below(4))") }
        if random.chance(10) { parameters.append("data.p.0=\(encoded("é"))") }
        if random.chance(30) { parameters.append("from=\((noon - .milliseconds(random.below(30) * 40_000 - random.below(2))).rfc3339)") }
        if random.chance(30) { parameters.append("to=\((noon + .milliseconds(2 + random.below(2))).rfc3339)") }
        return parameters.joined(separator: "&")
    }

    private static func lines(_ text: [UInt8]) -> [String] {
        text.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test(
        "an export is what a listing lists, whatever is selected, and goes on behind each of its events", arguments: StoreBackend.available)
    func listing(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            var random = Seeded(7)
            // One that a store does not take is none of its events.
            _ = try await store.insert(Self.events(150, &random))
            let asked = Asked(store: store, now: noon)
            for round in 0..<40 {
                let filters = round == 0 ? "" : Self.filters(&random)
                var (listed, cursor) = ([String](), "")
                repeat {
                    let page = try Self.object(
                        String(decoding: try await asked.ask("/api/v1/events?\(filters)&limit=17\(cursor)"), as: UTF8.self))
                    listed += try #require(page["events"] as? [[String: Any]]).map { try #require($0["id"] as? String) }
                    cursor = (page["nextCursor"] as? String).map { "&cursor=\($0)" } ?? ""
                } while !cursor.isEmpty
                let exported = Self.lines(try await asked.ask("/api/v1/events/export?\(filters)"))
                let ids = try exported.dropLast().map { try #require(try Self.object($0)["id"] as? String) }
                #expect(ids.map { bytes($0) } == listed.map { bytes($0) }, "\(filters)")
                #expect(exported.last == #"{"end":{"events":\#(listed.count),"asOf":"\#(noon.rfc3339)"}}"#)
                guard round < 5, !ids.isEmpty else { continue }
                for place in [0, random.below(ids.count), ids.count - 1] {
                    let last = try Self.object(exported[place])
                    let after = "afterTimestamp=\(try #require(last["timestamp"] as? String))&afterId=\(Self.encoded(ids[place]))"
                    let rest = Self.lines(try await asked.ask("/api/v1/events/export?\(filters)&\(after)"))
                    #expect(Array(rest.dropLast()) == Array(exported[(place + 1)...].dropLast()), "\(filters) behind \(place)")
                }
            }
        }
    }

    @Test("thousands of events of one moment come each once, slice by slice", arguments: StoreBackend.available)
    func moment(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for start in stride(from: 0, to: 5_000, by: 1_000) {
                try await store.add((start..<start + 1_000).map { stored("\($0)", at: noon + .milliseconds($0 / 4_000)) })
            }
            var limits = EventExport.Limits()
            limits.events = 700
            var export = EventReader(store: store, gate: QueryGate()).export(Selection(project: "p"), after: nil, now: noon, limits: limits)
            var ids: [String] = []
            while let slice = try await export.next(for: .staying) { ids += slice.map(\.event.id) }
            let expected = (0..<5_000).map(String.init).sorted()
            #expect(ids.sorted() == expected && Set(ids).count == 5_000)
        }
    }

    @Test(
        "a slice that takes longer than it may is cut, and told where it cannot be cut any more",
        // MongoDB's own limits: MongoTimeLimitTests.
        arguments: [.memory, .sqlite] as [StoreBackend])
    func slow(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add([stored("a")])
            var limits = EventExport.Limits()
            limits.sliceTime = .zero
            var export = EventReader(store: store, gate: QueryGate()).export(Selection(project: "p"), after: nil, now: noon, limits: limits)
            for _ in 0..<5 {
                let slice = try await export.next(for: .staying)
                #expect(slice == [])
            }
            await #expect(throws: QueryLimitError.timeout(.zero)) { while try await export.next(for: .staying) != nil {} }
        }
    }
}
