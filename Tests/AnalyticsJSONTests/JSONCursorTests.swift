import AnalyticsJSON
import Testing

struct JSONCursorTests {
    private func elements(_ text: PaddedBytes, at range: Range<Int>) throws -> [String]? {
        guard var cursor = JSONElements(text, at: range) else { return nil }
        var found: [String] = []
        while let place = try cursor.next() { found.append(text.string(at: place)) }
        return found
    }

    @Test func elementsAndMembersAreGivenByTheirPlaces() throws {
        let text = PaddedBytes(#" {"a" : [1, "]" ,{"b":[2]} ], "é\"":null} "#)
        var members = try #require(JSONRawMembers(text, at: text.all))
        let first = try #require(try members.next())
        #expect(text.string(at: first.key) == "a" && text.equals("a", at: first.key))
        #expect(try elements(text, at: first.value) == ["1", #""]""#, #"{"b":[2]}"#])
        let second = try #require(try members.next())
        #expect(text.string(at: second.key) == #"é\""# && text.string(at: second.value) == "null")
        #expect(try members.next() == nil && members.next() == nil)
    }

    @Test func aPartIsCutAsIfNothingFollowedIt() throws {
        let text = PaddedBytes("[[1,2],[3]]")
        #expect(try elements(text, at: 1..<6) == ["1", "2"])
        #expect(throws: JSONFault(code: .syntax)) { try elements(text, at: 1..<5) }
        #expect(try elements(text, at: 2..<6) == nil)
        #expect(try elements(text, at: 3..<3) == nil)
    }

    @Test func aBrokenContainerIsBrokenHoweverOftenItIsAsked() throws {
        let text = PaddedBytes("[1 2]")
        var cursor = try #require(JSONElements(text, at: text.all))
        #expect(try cursor.next() == 1..<2)
        for _ in 0..<3 { #expect(throws: JSONFault(code: .syntax)) { try cursor.next() } }
    }

    @Test func aCursorOutlivesTheVariableThatHeldItsText() throws {
        var text = PaddedBytes("[1,2,3]")
        var cursor = try #require(JSONElements(text, at: text.all))
        text.append("x".utf8)
        text = PaddedBytes("gone")
        #expect(try [cursor.next(), cursor.next(), cursor.next(), cursor.next()] == [1..<2, 3..<4, 5..<6, nil])
    }
}
