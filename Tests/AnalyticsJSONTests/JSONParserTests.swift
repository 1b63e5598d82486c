import AnalyticsJSON
import Testing

struct JSONParserTests {
    @Test func whatIsLentIsReadAndCopied() throws {
        var parser = JSONParser()
        let text = PaddedBytes(#"[{"s":"ä\n","i":-5,"d":1.50,"b":true,"n":null,"o":{ "x" : [ ] }}]"#)
        let read = try parser.withMembers(of: text, at: 1..<text.count - 1, maximumDepth: 3) { members in
            var all: [String] = []
            members.each { all.append("\($0.key)=\($0.json.text)") }
            return (all, members.string("s"), members.integer("i"), members.integer("d"), members.string("missing"))
        }
        #expect(read.0 == [#"s="ä\n""#, "i=-5", "d=1.5", "b=true", "n=null", #"o={"x":[]}"#])
        #expect(read.1 == "ä\n" && read.2 == -5 && read.3 == nil && read.4 == nil)
    }

    @Test func aFaultNamesItsKeyAndIsTheCallersError() {
        struct Mine: Error, Equatable { var key: String? }
        var parser = JSONParser()
        let text = PaddedBytes(#"{"a":1,"b":{"c":1,"c":2}}"#)
        do throws(Mine) {
            try parser.withMembers(of: text, at: text.all, maximumDepth: 2) { (_) throws(Mine) -> Void in
                Issue.record("it was read")
            } fault: {
                Mine(key: $0.key)
            }
        } catch {
            #expect(error == Mine(key: "b"))
        }
    }

    @Test(arguments: [("1", 0, "1"), (#" "a\/b" "#, 0, #""a/b""#), ("[ 1.0 ,{}]", 2, "[1.0,{}]"), ("null", 0, "null")])
    func aValueOfAnyKindIsLent(text: String, depth: Int, json: String) throws {
        var parser = JSONParser()
        let padded = PaddedBytes(text)
        let read = try parser.withValue(of: padded, at: padded.all, maximumDepth: depth) { (value) throws(JSONFault) in
            value.json
        } fault: {
            $0
        }
        #expect(read.text == json)
    }

    @Test(arguments: ["", "1,2", #"1,"x":2"#, "[", "{}}", #"1}"#])
    func whatIsNoSingleValueIsAFault(text: String) {
        var parser = JSONParser()
        let padded = PaddedBytes(text)
        do throws(JSONFault) {
            try parser.withValue(of: padded, at: padded.all, maximumDepth: 5) { (_) throws(JSONFault) -> Void in
                Issue.record("it was read: \(text)")
            } fault: {
                $0
            }
        } catch {
            #expect(error.code == .syntax)
        }
    }
}
