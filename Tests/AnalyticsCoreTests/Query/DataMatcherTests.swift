import AnalyticsCore
import Testing

@Suite("Conditions on the text of data")
struct DataMatcherTests {
    @Test("escapes in data stand for what they mean")
    func escapes() throws {
        let matcher = DataMatcher([DataCondition(path: ["k/é"], values: ["a/\t😀"])])
        #expect(try matcher.matches(#"{"k\/\u00e9":"a\/\t\ud83d\ude00"}"#))
        #expect(try matcher.matches(#"{"k/é":["x","\u0061/\u0009😀"]}"#))
        #expect(try !matcher.matches(#"{"k/é":"a/\t\ud83d"}"#))
        #expect(try !matcher.matches(#"{"k/é":"a/\t\ud83d\ude01"}"#))
    }

    @Test("text that is cut short ends the search")
    func cutShort() throws {
        let matcher = DataMatcher([DataCondition(path: ["a", "b"], values: ["no", "7", "true", "null"])])
        let text = Array(#"{"x":[{"y":"\\\""},1],"a":[{"c":null},{"b":["\u00e9",-1.5e3,false,[7],{"b":7}]}],"z":{}}"#.utf8)
        for start in 0..<text.count {
            for end in start...text.count { _ = try matcher.matches(String(decoding: text[start..<end], as: UTF8.self)) }
        }
        #expect(try !matcher.matches(String(decoding: text, as: UTF8.self)))
    }
}
