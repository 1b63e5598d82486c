import Testing

@testable import AnalyticsCore

struct CountsCodecTests {
    @Test func countsAreReadBack() throws {
        let names = ["", "a", "\"quoted\" \\", "ä", "e\u{301}", "\u{E9}", "__other__", "😀", "v", "counts"]
        for counts in [
            [], names.enumerated().map { (BytewiseString($1), Int64($0)) }, [(BytewiseString("x"), Int64.max)],
        ] as [[(name: BytewiseString, count: Int64)]] {
            for limit in [1, 3, 100] {
                let counts = try #require(Counts(exact: counts, limit: limit))
                #expect(try CountsCodec.decode(CountsCodec.encode(counts)) == counts)
            }
        }
    }

    @Test(arguments: [
        "", "null", "[]", "{", "{}", #"{"v":2}"#, #"{"v":"2","other":0,"counts":{}}"#, #"{"counts":{}}"#, #"{"v":2,"other":0,"counts":[]}"#,
        #"{"v":2,"other":0,"counts":"{}"}"#, #"{"v":2,"other":0,"counts":{"a":"1"}}"#, #"{"v":2,"other":0,"counts":{"a":1.5}}"#,
        #"{"v":2,"other":0,"counts":{"a":{}}}"#,
        #"{"v":2,"other":0,"counts":{"a":null}}"#, #"{"v":2,"other":0,"counts":{"a":1}}x"#, #"{"v":2,"v":2,"other":0,"counts":{}}"#,
        #"{"v":2,"counts":{}}"#, #"{"v":2,"other":-1,"counts":{}}"#, #"{"v":2,"other":9223372036854775807,"counts":{"a":1}}"#,
        // A count below zero, a sum beyond 64 bits, a name twice.
        #"{"v":2,"other":0,"counts":{"a":-1}}"#, #"{"v":2,"other":0,"counts":{"a":9223372036854775807,"b":9223372036854775807}}"#,
        #"{"v":2,"other":0,"counts":{"a":9223372036854775807,"b":1}}"#, #"{"v":2,"other":0,"counts":{"a":9223372036854775808}}"#,
        #"{"v":2,"other":0,"counts":{"a":1,"a":1}}"#, #"{"v":2,"other":0,"counts":{"a":1,"\u0061":1}}"#,
        #"{"v":2,"other":0,"counts":{"a":1},"counts":{"a":1}}"#,
    ])
    func whatIsNotWrittenSoIsDamaged(text: String) {
        #expect(throws: AnswerFault.damaged) { try CountsCodec.decode(Array(text.utf8)) }
    }

    @Test(arguments: [#"{"v":1,"counts":{"a":1}}"#, #"{"v":0}"#, #"{"v":3,"other":[]}"#])
    func anotherVersionIsToldFromDamage(text: String) {
        #expect(throws: AnswerFault.unknownFormat) { try CountsCodec.decode(Array(text.utf8)) }
    }

    @Test func whatAddsUpToMoreThan64BitsIsNoCounts() {
        func counts(_ last: Int64, other: Int64 = 0) -> Counts? {
            Counts(
                exact: [(name: BytewiseString("a"), count: Int64.max - 1), (name: BytewiseString("b"), count: last)], limit: 1, other: other
            )
        }
        #expect(counts(2) == nil && counts(1, other: 1) == nil)
        #expect(counts(1)?.total == .max && counts(1)?.other == 1)
    }
}
