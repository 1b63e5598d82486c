import AnalyticsJSON
import Testing

/// The store's contract suite has the rules of paths; `scripts/fuzz-json.sh` compares the reader with a plain one.
struct JSONValueReaderTests {
    private func values(_ paths: [[String]], _ text: String) throws -> [[JSONScalar]] {
        var values = [[JSONScalar]](repeating: [], count: paths.count)
        try JSONValueReader(paths: paths).read(PaddedBytes(text)) { values[$0].append($1) }
        return values
    }

    @Test func scalarsComePathByPathInTheOrderOfTheText() throws {
        let text = #"{"b":[{"c":1},{"c":[2.5,"x\u00e9",null]}],"a":true}"#
        #expect(
            try values([["a"], ["b", "c"], ["b"], ["a"]], text) == [
                [.boolean(true)], [.integer(1), .double(2.5), .string("xé"), .null], [], [.boolean(true)],
            ])
        #expect(try values([], text) == [])
        // No path: the text itself.
        #expect(try values([[]], "[1,[2],3]") == [[.integer(1), .integer(3)]])
        #expect(try values([["n"]], #"{"n":18446744073709551615}"#) == [[.double(0x1p64)]])
    }

    @Test(arguments: ["", "{", #"{"a":1}x"#, #"{"a":1e400}"#, "nul"])
    func whatIsNoJSONIsAnErrorAndTheNextTextIsReadAllTheSame(text: String) throws {
        let reader = JSONValueReader(paths: [["a"]])
        var read: [JSONScalar] = []
        #expect(throws: JSONFault.self) { try reader.read(PaddedBytes(text)) { read.append($1) } }
        #expect(read == [])
        try reader.read(PaddedBytes(#"{"a":"b"}"#)) { read.append($1) }
        #expect(read == [.string("b")])
    }
}
