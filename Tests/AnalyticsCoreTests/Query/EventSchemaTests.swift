import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

struct EventSchemaTests {
    private func schema(_ texts: [String?], sample: Int = 1_000) async throws -> EventSchema {
        let store = MemoryStore()
        // The first is the newest.
        try await write(texts.enumerated().map { Self.event("e\($0)", at: noon - .seconds($0), data: $1) }, to: store)
        return try await EventReader(store: store, gate: QueryGate()).schema(Selection(project: Project.default), sample: sample)
    }

    private static func event(_ id: String, at time: Timestamp, data: String?) -> Event {
        var event = sample(id, at: time)
        event.data = data.map { JSONText(normalised: $0) }
        return event
    }

    @Test func pathsAreThoseThatQuestionsName() async throws {
        let schema = try await schema([
            #"{"plan":"pro","cart":{"total":4,"items":[{"sku":"a"},{"sku":"b"}]},"tags":["x","y","x"],"a.b":1,"$x":2,"":3}"#,
            #"{"plan":7,"cart":null,"tags":[],"n":[[1]]}"#, #"[1,2]"#, #""text""#, nil,
        ])
        #expect(schema.events == 5 && !schema.isCut)
        let found = schema.properties.map { "\($0.path) \($0.events)" }
        #expect(
            found == [
                "data.cart 2", "data.cart.items 1", "data.cart.items.sku 1", "data.cart.total 1", "data.n 1", "data.plan 2", "data.tags 2",
            ])
        let plan = try #require(schema.properties.first { $0.path == "data.plan" })
        #expect(plan.kinds == [.string: 1, .number: 1] && plan.examples == [.string("pro"), .integer(7)])
        #expect(plan.last == noon && plan.first == noon - .seconds(1))
        let cart = try #require(schema.properties.first { $0.path == "data.cart" })
        #expect(cart.kinds == [.object: 1, .null: 1] && cart.examples == [])
        let tags = try #require(schema.properties.first { $0.path == "data.tags" })
        #expect(tags.kinds == [.array: 2, .string: 1] && tags.examples == [.string("x"), .string("y")])
    }

    @Test func keysAreComparedByTheirBytes() async throws {
        let schema = try await schema([#"{"é":1,"e\u0301":2}"#])
        #expect(schema.properties.map { Array($0.path.utf8) } == ["data.e\u{301}", "data.é"].map { Array($0.utf8) })
    }

    @Test func itIsBounded() async throws {
        let wide = "{" + (0..<600).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + "}"
        let schema = try await schema([wide, #"{"k0":"\#(String(repeating: "x", count: 101))","late":1}"#], sample: 2)
        #expect(schema.isCut && schema.properties.count == EventSchema.pathLimit && schema.events == 2)
        #expect(schema.properties.first { $0.path == "data.k0" }?.examples == [.integer(0)])
        let first = try await self.schema([#"{"a":1}"#, #"{"b":1}"#], sample: 1)
        #expect(first.events == 1 && first.properties.map(\.path) == ["data.a"])
        let many = try await self.schema((0..<9).map { #"{"a":\#($0)}"# })
        #expect(many.properties.map(\.examples) == [(0..<5).map { .integer($0) }])
    }
}
