import AnalyticsCore
import Foundation
import TestSupport
import Testing

@testable import AnalyticsAPI

/// Names, patterns and targets: text from outside.
@Suite struct GraphiteParserTests {
    private static let project: ProjectID = "shop"

    private static func plan(_ target: String) throws -> GraphitePlan { try GraphitePlan(target, project: project) }

    private static func message(_ target: String) -> String? {
        do {
            _ = try plan(target)
            return nil
        } catch {
            return (error as? GraphiteFault)?.message ?? "another error"
        }
    }

    private static func matches(_ pattern: String, _ texts: [String]) throws -> [String] {
        var steps = GraphitePattern.maximumSteps
        return try GraphitePattern(pattern).matching(texts, steps: &steps) { $0 }
    }

    // MARK: Nodes

    @Test(arguments: [
        ("page_view", "page_view"), ("a.b", "a~2Eb"), ("/checkout", "~2Fcheckout"), ("order placed", "order~20placed"),
        ("~users", "~7Eusers"), ("cart:add", "cart:add"), ("grün", "grün"), ("a,b;c='d'&e+f%", "a~2Cb~3Bc~3D~27d~27~26e~2Bf~25"),
    ])
    func `a node writes what means something to Graphite as an escape`(text: String, node: String) throws {
        #expect(GraphiteNode.encode(text) == node)
        #expect(try GraphitePattern(node).names == [text])
    }

    @Test func `no two texts have one node, and each node gives its text`() throws {
        var random = Seeded(7)
        let characters = ((0x20...0x7E).map { Unicode.Scalar(UInt8($0)) } + ["é", "e", "\u{301}", "～", "😀", "\u{A0}"]).map { $0 }
        var nodes: [BytewiseString: BytewiseString] = [:]
        for _ in 0..<5_000 {
            var text = String.UnicodeScalarView()
            for _ in 0...random.below(12) { text.append(characters[random.below(characters.count)]) }
            let node = GraphiteNode.encode(String(text))
            let other = nodes.updateValue(BytewiseString(String(text)), forKey: BytewiseString(node))
            #expect(other == nil || other == BytewiseString(String(text)))
            #expect(try GraphitePattern(node).names?.first.map { $0.utf8.elementsEqual(String(text).utf8) } == true, "\(node)")
            #expect(node.utf8.allSatisfy { GraphiteNode.isPlain($0) || $0 == UInt8(ascii: "~") })
            #expect(!GraphiteTree.isReserved(node), "\(node)")
        }
    }

    // MARK: Patterns

    @Test(arguments: [
        ("*", ["view", "a.b", "", "é"]), ("v*", ["view"]), ("*i*w", ["view"]), ("?", ["é"]), ("[a-c]~2E?", ["a.b"]),
        ("[!v]*", ["a.b", "é"]),
        ("{view,nothing}", ["view"]), ("{v,a}*", ["view", "a.b"]), ("v{ie,}w", ["view"]), ("view", ["view"]), ("vie", []), ("viewx", []),
        ("**", ["view", "a.b", "", "é"]),
        ("{,é}", ["", "é"]), ("[é]", ["é"]), ("[i-]*", []),
    ])
    func `a pattern stands for whole texts`(pattern: String, expected: [String]) throws {
        #expect(try Self.matches(pattern, ["view", "a.b", "", "é"]) == expected)
    }

    @Test func `texts are told apart by their bytes`() throws {
        #expect(try Self.matches("é", ["é", "e\u{301}"]).map { Array($0.utf8) } == [Array("é".utf8)])
        #expect(try GraphitePattern("{a,a,b}").names == ["a", "b"])
        #expect(try GraphitePattern("{a,b*}").names == nil)
    }

    @Test(arguments: ["{a", "a}", "{a,{b}}", "[", "[]", "[a", "]", "~", "~2", "~2e", "~GG", "~80", "~FF", "a b", "a;b", "[z-a]", "a'b"])
    func `what is no pattern is refused`(pattern: String) {
        #expect(throws: GraphiteFault.self) { try GraphitePattern(pattern) }
    }

    @Test func `patterns that stand for too much, or take too long, are refused`() throws {
        #expect(throws: GraphiteFault.self) { try GraphitePattern(String(repeating: "{a,b}", count: 11)) }
        #expect(throws: GraphiteFault.self) { try GraphitePattern("{" + String(repeating: "a,", count: 1_000) + "}") }
        #expect(try GraphitePattern(String(repeating: "{a,b}", count: 9)).names?.count == 512)
        let names = (0..<2_000).map { _ in String(repeating: "a", count: 200) }
        let hostile = String(repeating: "*a", count: 60) + "*b"
        let start = ContinuousClock.now
        #expect(throws: GraphiteFault.self) {
            try Self.matches("{" + Array(repeating: hostile, count: 100).joined(separator: ",") + "}", names)
        }
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    // MARK: Targets

    @Test func `a target is read as it is written`() throws {
        let read = try GraphiteExpression(" alias( sumSeries(shop.{a,b}.*, shop.c.web) ,\"x, (y)\") ")
        #expect(
            read
                == .call(
                    "alias", [.call("sumSeries", [.path("shop.{a,b}.*"), .path("shop.c.web")]), .text("x, (y)")]))
        #expect(
            try GraphiteExpression("f(1,-2.5,true,'',shop.1)")
                == .call("f", [.number(1), .number(-2.5), .boolean(true), .text(""), .path("shop.1")]))
        #expect(try GraphiteExpression("f()") == .call("f", []))
        let grafana = try GraphiteExpression(#"aliasSub(shop.*.*, "(^.*$)", "\1 A")"#)
        #expect(grafana == .call("aliasSub", [.path("shop.*.*"), .text("(^.*$)"), .text("\\1 A")]))
    }

    @Test(arguments: [
        "", " ", "(", ")", "a(", "a(b", "a(b,", "a(b,)", "a(,b)", "a)", "a b", "a(b)c", "'", "'a'", "\"a", "f('a)", "1", "true", "a(b))",
        "f(a b)",
        "sumSeries()", "alias(shop.a.b)", "alias(shop.a.b,1)", "alias('x','y')", "alias(shop.a.b,'x','y')", "aliasByNode(shop.a.b)",
        "aliasByNode(shop.a.b,'x')", "aliasByNode(shop.a.b,1.5)", "highest(shop.*.*,0,'sum')", "highest(shop.*.*,1001,'sum')",
        "highest(shop.*.*,10)", "highest(shop.*.*,10,'average')", "groupByNode(shop.*.*,1,'avg')", "summarize(shop.a.b,'7min')",
        "summarize(shop.a.b,'1x')", "summarize(shop.a.b,'1h','max')", "summarize(shop.a.b,'1h','sum',true)", "summarize(shop.a.b,'2w')",
        "summarize(shop.a.b,'-1h')", "summarize(shop.a.b,'0h')", "timeShift(shop.a.b,'x')", "timeShift(shop.a.b,7)",
        "timeShift(shop.a.b,'99999999999999d')",
        "aliasSub(shop.a.b,'a(.*)','x')", "aggregateLine(shop.a.b,'max')", "aggregateLine(shop.a.b)", "constantLine('x')",
        "seriesByTag()", "seriesByTag('type')", "seriesByTag('type=')", "seriesByTag('name=x')", "seriesByTag('type=~a.*')",
        "seriesByTag('type!=a')",
        "seriesByTag('type!=~a')", "seriesByTag('type=a','type=b')", "shop..a", ".shop.a", "shop.a.", "shop.~other", "shop.~other.x",
        "shop.a%2Eb.web",
        "shop.a=b.web", "bank.[.web", "shop.~.x", "sumSeries(shop.a.b,func='sum')", "shop.a.b|alias('x')",
    ])
    func `what is no target is refused with a reason`(target: String) {
        let message = Self.message(target)
        #expect(message != nil && message != "another error", "\(target): \(message ?? "no error")")
    }

    @Test func `another function is named in the error, with those that there are`() throws {
        let message = try #require(Self.message("alias(movingAverage(shop.a.web,5),'x')"))
        #expect(message.contains("'movingAverage'"))
        for function in GraphiteFunction.all { #expect(message.contains(function.name)) }
        // As a variable that Grafana has not replaced.
        #expect(Self.message("shop.$type.web")?.contains("$") == true)
    }

    @Test func `targets are bounded in their bytes and depth`() throws {
        let deep = { (depth: Int) in String(repeating: "sumSeries(", count: depth) + "shop.a.b" + String(repeating: ")", count: depth) }
        #expect(Self.message(deep(GraphiteExpression.maximumDepth)) == nil)
        #expect(Self.message(deep(GraphiteExpression.maximumDepth + 1)) != nil)
        #expect(Self.message(String(repeating: "(", count: 16_000)) != nil)
        #expect(Self.message("alias(shop.a.b,'\(String(repeating: "x", count: GraphiteExpression.maximumBytes))')") != nil)
    }

    @Test func `no text ends the process`() {
        var random = Seeded(11)
        let pieces = [
            "sumSeries", "alias", "aliasByNode", "highest", "summarize", "timeShift", "seriesByTag", "groupByNode", "shop", "~users", "~2E",
            "~", "(", ")",
            "(", ")", ",", ",", ".", ".", "*", "{", "}", "[", "]", "!", "-", "?", "'", "\"", " ", "1", "-9", "'sum'", "'1d'", "type=", "é",
            "\u{301}", "\\1", "=", "\u{0}",
        ]
        for _ in 0..<30_000 {
            let target = (0...random.below(14)).map { _ in pieces[random.below(pieces.count)] }.joined()
            #expect(Self.message(target) != "another error", "\(target)")
        }
    }

    @Test func `another project's names, and names with other numbers of nodes, are those of nothing`() throws {
        for target in [
            "bank.view.web", "bank.*.*", "bank.~users", "shop", "shop.view", "shop.view.web.more", "shop.~users.x", "shop.~pages",
            "shop.~pages.a.b",
        ] {
            guard case .nothing = try Self.plan(target) else {
                Issue.record("\(target)")
                continue
            }
        }
        for target in [
            "*.view.web", "{bank,shop}.view.web", "s?op.*.*", "seriesByTag('type=view','source=web')", "seriesByTag('project=shop')",
        ] {
            guard case .leaf(.events) = try Self.plan(target) else {
                Issue.record("\(target)")
                continue
            }
        }
        guard case .nothing = try Self.plan("seriesByTag('type=view','project=bank')") else { throw GraphiteFault("another project's") }
    }
}
