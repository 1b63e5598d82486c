import AnalyticsJSON
import Testing

/// The store's contract suite has the rules of conditions; `scripts/fuzz-json.sh` compares the matcher with a plain one.
struct JSONMatcherTests {
    @Test func allConditionsMustHoldAndOfEachOneValue() throws {
        let matcher = JSONMatcher()
        #expect(try matcher.isEmpty && matcher.matches(PaddedBytes("1")))
        matcher.require(path: ["a"], anyOf: [.integer(1), .string("x")])
        matcher.require(path: ["b", "c"], anyOf: [.boolean(false), .null])
        #expect(!matcher.isEmpty)
        for text in [#"{"a":1,"b":{"c":null}}"#, #"{"b":[{"c":[false]}],"a":["x"]}"#] { #expect(try matcher.matches(PaddedBytes(text))) }
        for text in [#"{"a":1}"#, #"{"a":2,"b":{"c":null}}"#, #"{"a":1,"b":{"c":true}}"#, "{", ""] {
            #expect(try !matcher.matches(PaddedBytes(text)))
        }
    }

    @Test(arguments: [
        (JSONScalar.integer(9_007_199_254_740_993), "9007199254740993", true),
        (.integer(9_007_199_254_740_993), "9007199254740992.0", false),
        (.double(9_007_199_254_740_992), "9007199254740992", true), (.double(9_007_199_254_740_992), "9007199254740993", false),
        (.integer(.max), "9223372036854775807.0", false), (.integer(.min), "-9223372036854775808.0", true), (.integer(0), "-0.0", true),
        (.double(9_223_372_036_854_775_808), "9223372036854775807", false), (.double(0.5), "0.5", true), (.double(0.5), "0", false),
    ])
    func numbersAreComparedByWhatTheyAreWorth(wanted: JSONScalar, number: String, holds: Bool) throws {
        let matcher = JSONMatcher()
        matcher.require(path: ["n"], anyOf: [wanted])
        #expect(try matcher.matches(PaddedBytes("{\"n\":\(number)}")) == holds)
    }
}
