import Testing

@testable import AnalyticsCore

struct CountsCodecTests {
    @Test func countsAreReadBack() throws {
        let names = ["", "a", "\"quoted\" \\", "ä", "e\u{301}", "\u{E9}", "__other__", "😀", "v", "counts"]
        for counts in [
            [:], Dictionary(uniqueKeysWithValues: names.enumerated().map { (ExactText($1), Int64($0)) }), [ExactText("x"): Int64.max],
        ] {
            let counts = try #require(Counts(exact: counts))
            #expect(try CountsCodec.decode(CountsCodec.encode(counts)) == counts)
        }
    }

    @Test(arguments: [
        "", "null", "[]", "{", "{}", #"{"v":1}"#, #"{"v":"1","counts":{}}"#, #"{"counts":{}}"#, #"{"v":1,"counts":[]}"#,
        #"{"v":1,"counts":"{}"}"#, #"{"v":1,"counts":{"a":"1"}}"#, #"{"v":1,"counts":{"a":1.5}}"#, #"{"v":1,"counts":{"a":{}}}"#,
        #"{"v":1,"counts":{"a":null}}"#, #"{"v":1,"counts":{"a":1}}x"#, #"{"v":1,"v":1,"counts":{}}"#,
        // A count below zero, a sum beyond 64 bits, a name twice.
        #"{"v":1,"counts":{"a":-1}}"#, #"{"v":1,"counts":{"a":9223372036854775807,"b":9223372036854775807}}"#,
        #"{"v":1,"counts":{"a":9223372036854775807,"b":1}}"#, #"{"v":1,"counts":{"a":9223372036854775808}}"#,
        #"{"v":1,"counts":{"a":1,"a":1}}"#, #"{"v":1,"counts":{"a":1,"\u0061":1}}"#, #"{"v":1,"counts":{"a":1},"counts":{"a":1}}"#,
    ])
    func whatIsNotWrittenSoIsDamaged(text: String) {
        #expect(throws: CountsCodec.Fault.damaged) { try CountsCodec.decode(Array(text.utf8)) }
    }

    @Test(arguments: [#"{"v":2,"counts":{"a":1}}"#, #"{"v":0}"#, #"{"v":2,"other":[]}"#])
    func anotherVersionIsToldFromDamage(text: String) {
        #expect(throws: CountsCodec.Fault.unknownFormat) { try CountsCodec.decode(Array(text.utf8)) }
    }

    @Test func whatAddsUpToMoreThan64BitsIsNoCounts() {
        #expect(Counts(exact: [ExactText("a"): .max, ExactText("b"): 1]) == nil)
        #expect(Counts(exact: [ExactText("a"): .max, ExactText("b"): 0])?.total == .max)
    }
}
