import Testing

@testable import AnalyticsCore

struct PercentEncodingTests {
    @Test(arguments: [
        ("", ""), ("%EF%BB%BFmark", "\u{FEFF}mark"), ("a%20b", "a b"), ("%41%2b+", "A++"), ("%C3%A4ä", "ää"), ("e%CC%81", "e\u{301}"),
        ("\u{301}%41", "\u{301}A"),
        ("%00", "\0"),
        ("%25", "%"),
    ])
    func decodes(_ text: String, _ expected: String) {
        #expect(PercentEncoding.decode(text, plusIsSpace: false).map { Array($0.utf8) } == Array(expected.utf8))
        #expect(PercentEncoding.decode(Substring(text), plusIsSpace: false) == expected)
    }

    @Test func `a plus is a space in a query only, and one that is encoded never`() {
        #expect(PercentEncoding.decode("a+b%2B+", plusIsSpace: true) == "a b+ ")
        #expect(PercentEncoding.decode("a+b", plusIsSpace: false) == "a+b")
    }

    @Test(arguments: [
        "%", "a%4", "%G0", "%+1", "% 1", "%-1", "%u0041", "%\u{301}41", "%FF", "%E2%82", "%C0%AF", "%ED%A0%80", "%F4%90%80%80",
    ])
    func `what is no percent-encoded UTF-8 is refused`(_ text: String) {
        #expect(PercentEncoding.decode(text, plusIsSpace: false) == nil)
        #expect(PercentEncoding.decode("+" + text, plusIsSpace: true) == nil)
    }
}
