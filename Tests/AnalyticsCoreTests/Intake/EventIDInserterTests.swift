import AnalyticsJSON
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite struct EventIDInserterTests {
    private static func inserted(_ text: String) -> String {
        String(decoding: EventIDInserter().insert({ "new" }, into: Array(text.utf8)), as: UTF8.self)
    }

    @Test(
        "An event without an id, or with null for one, gets it; every other byte stays",
        arguments: [
            (#"{}"#, #"{"id":"new"}"#),
            (" \t{ \"a\" : 1.10 , \"b\":{\"id\":1} }\r", " \t{\"id\":\"new\", \"a\" : 1.10 , \"b\":{\"id\":1} }\r"),
            (#"{"id":null}"#, #"{"id":"new"}"#), (#"{"a":"}{","id" : null , "b":[]}"#, #"{"a":"}{","id" : "new" , "b":[]}"#),
            (#"{"a":{"id":null},"\u0069\u0064":null}"#, #"{"a":{"id":null},"\u0069\u0064":"new"}"#),
            ("{\"\u{0301}\":\"é\",\"a\\\"\":1}", "{\"id\":\"new\",\"\u{0301}\":\"é\",\"a\\\"\":1}"),
        ])
    func inserts(_ text: String, _ result: String) {
        #expect(Self.inserted(text).utf8.elementsEqual(result.utf8), "\(Self.inserted(text))")
    }

    @Test(
        "A text with an id, and one that is no event, stays as it is",
        arguments: [
            #"{"a":1,"id":"x"}"#, #"{"\u0069d":"x"}"#, #"{"id":1}"#, #"{"id":{}}"#, #"{"id":""}"#, #"{"id":null,"id":null}"#, "", "[{}]",
            "null",
            #"{"a":1}}"#, #"{"a":tru}"#, "{\"a\":1", "{\"a\":1}{}", "{\"a\":1e999}", "\u{FEFF}{}", #"{"a":1,"a":2}"#,
            String(repeating: "{\"a\":", count: 40) + "1" + String(repeating: "}", count: 40),
        ])
    func leaves(_ text: String) {
        #expect(Self.inserted(text).utf8.elementsEqual(text.utf8), "\(Self.inserted(text))")
    }

    @Test("What it makes is what the service reads, of any object")
    func anyObject() throws {
        var random = Seeded(3)
        var parser = JSONParser()
        let keys = ["a", "\\u0061b", "é", "", "$x.y", "\\\"", "ids", "ID"]
        let values = ["1", "null", "\"}\"", "{\"id\":null}", "[null,{}]", "true", "-1.5e3", "\"\\\\\""]
        for _ in 0..<2_000 {
            var members = keys.shuffled(using: &random).prefix(random.below(6)).map { "\"\($0)\" : \(values[random.below(values.count)])" }
            let hasNull = random.below(2) == 0
            if hasNull { members.insert("\"id\": null", at: random.below(members.count + 1)) }
            let text = "{ " + members.joined(separator: " ,") + "}"
            let result = Self.inserted(text)
            let padded = PaddedBytes(result)
            var names: [(String, String?)] = []
            try parser.withMembers(of: padded, at: padded.all, maximumDepth: 32) { members in
                members.each { names.append(($0.key, $0.string)) }
            }
            let id = names.filter { $0.0 == "id" }
            #expect(id.count == 1 && id[0].1 == "new" && names.count == members.count + (hasNull ? 0 : 1), "\(text) \(result)")
            let taken = hasNull ? result.replacing("\"new\"", with: "null") : result.replacing(/"id":"new",?/, with: "")
            #expect(taken == text)
        }
    }

    @Test("A derived id is a UUIDv8, and depends on the name, the line and the bytes, each by itself")
    func derived() {
        let ids = [
            IDGenerator.derived(importName: "n", line: 1, bytes: [1]), IDGenerator.derived(importName: "n", line: 1, bytes: [1, 0]),
            IDGenerator.derived(importName: "n", line: 11, bytes: [1]), IDGenerator.derived(importName: "n1", line: 1, bytes: [1]),
            IDGenerator.derived(importName: "", line: 1, bytes: []), IDGenerator.derived(project: "import", key: "n", index: 1),
        ]
        #expect(Set(ids).count == ids.count)
        // An id that has been given out stays what it is.
        #expect(ids[0] == "db188538-1016-8559-bbde-96ec40577c65")
        for id in ids { #expect(id.utf8.count == 36 && Array(id.utf8)[14] == UInt8(ascii: "8") && "89ab".contains(Array(id)[19])) }
    }
}
