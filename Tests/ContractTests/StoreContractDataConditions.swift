import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: conditions on data")
struct StoreContractDataConditions {
    /// The path, the value asked for, the documents that hold and those that do not.
    struct Case: Sendable {
        var path: [String]
        var value: String
        var holds: [String]
        var fails: [String]
    }

    static let cases: [Case] = [
        Case(
            path: ["n"], value: "42",
            holds: [#"{"n":42}"#, #"{"n":42.0}"#, #"{"n":"42"}"#, #"{"n":[1,42]}"#, #"{"n":[[1],"42"]}"#, #"{"a":1,"n":42}"#],
            fails: [#"{"n":43}"#, #"{"n":[[42]]}"#, #"{"n":{"n":42}}"#, #"{"n":42.5}"#, #"{"n":"42 "}"#, #"{"N":42}"#, "{}", "42"]),
        Case(path: ["n"], value: "42.0", holds: [#"{"n":42}"#, #"{"n":42.0}"#, #"{"n":"42.0"}"#], fails: [#"{"n":"42"}"#]),
        Case(path: ["n"], value: "-0.5", holds: [#"{"n":-0.5}"#], fails: [#"{"n":0.5}"#, #"{"n":0}"#]),
        Case(
            path: ["n"], value: "9007199254740993", holds: [#"{"n":9007199254740993}"#],
            fails: [#"{"n":9007199254740992}"#, #"{"n":9007199254740992.0}"#]),
        Case(path: ["n"], value: "9223372036854775807", holds: [#"{"n":9223372036854775807}"#], fails: [#"{"n":9223372036854775806}"#]),
        Case(path: ["n"], value: "+1", holds: [#"{"n":"+1"}"#], fails: [#"{"n":1}"#]),
        Case(
            path: ["b"], value: "true", holds: [#"{"b":true}"#, #"{"b":"true"}"#, #"{"b":[false,true]}"#],
            fails: [#"{"b":1}"#, #"{"b":false}"#, #"{"b":"TRUE"}"#]),
        Case(path: ["b"], value: "false", holds: [#"{"b":false}"#], fails: [#"{"b":0}"#, #"{"b":null}"#, #"{"b":""}"#]),
        Case(path: ["b"], value: "1", holds: [#"{"b":1}"#], fails: [#"{"b":true}"#]),
        Case(
            path: ["z"], value: "null", holds: [#"{"z":null}"#, #"{"z":"null"}"#, #"{"z":[null]}"#],
            fails: ["{}", #"{"z":0}"#, #"{"z":[]}"#, #"{"z":{}}"#, "null"]),
        Case(
            path: ["a", "z"], value: "null",
            holds: [#"{"a":{"z":null}}"#, #"{"a":[{"z":1},{"z":null}]}"#, #"{"a":{"z":[1,null]}}"#, #"{"a":{"z":"null"}}"#],
            fails: ["{}", #"{"a":{}}"#, #"{"a":null}"#, #"{"a":[{"y":null}]}"#, #"{"a":[[{"z":null}]]}"#, #"{"a":{"z":[[null]]}}"#]),
        Case(
            path: ["a", "1", "b"], value: "null", holds: [#"{"a":{"1":{"b":null}}}"#, #"{"a":[{"1":[{"b":[null]}]}]}"#],
            fails: [#"{"a":[0,{"b":null}]}"#, #"{"a":{"1":{}}}"#]),
        Case(
            path: Array(repeating: "a", count: 31), value: "null",
            holds: [String(repeating: #"{"a":"#, count: 31) + "null" + String(repeating: "}", count: 31)],
            fails: [String(repeating: #"{"a":"#, count: 30) + "null" + String(repeating: "}", count: 30)]),
        Case(path: ["s"], value: "", holds: [#"{"s":""}"#], fails: ["{}", #"{"s":null}"#, #"{"s":[]}"#, #"{"s":" "}"#]),
        Case(
            path: ["a", "b"], value: "x",
            holds: [#"{"a":{"b":"x"}}"#, #"{"a":[{"b":"y"},{"b":"x"}]}"#, #"{"a":{"b":["y","x"]}}"#, #"{"a":[{"b":["x"]}]}"#],
            fails: [
                #"{"a.b":"x"}"#, #"{"a":[[{"b":"x"}]]}"#, #"{"a":"x"}"#, #"{"b":{"a":"x"}}"#, #"{"a":{"c":"x"}}"#, #"{"a":{"b":[["x"]]}}"#,
            ]),
        Case(
            path: ["a", "b", "c"], value: "1", holds: [#"{"a":[{"b":[{"c":0},{"c":[1]}]}]}"#], fails: [#"{"a":{"b":{"c":{"c":1}}}}"#]),
        Case(path: ["a"], value: "x", holds: [#"[{"a":"x"}]"#, #"[1,{"a":["x"]}]"#], fails: [#"[[{"a":"x"}]]"#, #"["a","x"]"#, #""x""#]),
        Case(
            path: ["a", "0"], value: "x", holds: [#"{"a":{"0":"x"}}"#, #"{"a":[{"0":"x"}]}"#], fails: [#"{"a":["x"]}"#, #"{"a":[["x"]]}"#]),
        Case(path: ["s"], value: "$ne", holds: [#"{"s":"$ne"}"#], fails: [#"{"s":"x"}"#, #"{"s":{"$ne":1}}"#]),
        Case(path: ["s"], value: #"{"$gt":""}"#, holds: [#"{"s":"{\"$gt\":\"\"}"}"#], fails: [#"{"s":"x"}"#, #"{"s":{"$gt":""}}"#]),
        Case(path: ["s"], value: ".*", holds: [#"{"s":".*"}"#], fails: [#"{"s":"x"}"#]),
        Case(path: ["s"], value: "%", holds: [#"{"s":"%"}"#], fails: [#"{"s":"x"}"#]),
        Case(path: ["k$x", "'\"\\"], value: "v", holds: [#"{"k$x":{"'\"\\":"v"}}"#], fails: [#"{"k$x":"v"}"#]),
        Case(path: ["s"], value: "a\"\\\nb", holds: [#"{"s":"a\"\\\nb"}"#], fails: [#"{"s":"a"}"#]),
        Case(path: ["s"], value: "a\u{0}b", holds: [#"{"s":"a\u0000b"}"#], fails: [#"{"s":"a"}"#]),
        Case(path: ["s"], value: "é", holds: ["{\"s\":\"é\"}"], fails: ["{\"s\":\"e\u{301}\"}", #"{"s":"É"}"#]),
        Case(path: ["ключ"], value: "😀", holds: [#"{"ключ":"😀"}"#], fails: [#"{"ключ":"😁"}"#]),
    ]

    @Test(
        "a value equals the string, number, boolean or null that is written so, and nothing in it is an operator",
        arguments: StoreBackend.available)
    func cases(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for (number, test) in Self.cases.enumerated() {
                let project: ProjectID = "case\(number)"
                let documents = (test.holds + test.fails).map(Optional.some) + [nil]
                try await store.add(documents.enumerated().map { stored("\($0)", project: project, data: $1) })
                let filter = Selection(project: project, data: [DataCondition(path: test.path, values: [test.value])])
                let found = Set(try await store.ids(filter).compactMap { Int($0) })
                for (index, document) in documents.enumerated() where found.contains(index) != (index < test.holds.count) {
                    let verb = found.contains(index) ? "holds" : "does not hold"
                    Issue.record("\(test.path.joined(separator: "."))=\(test.value) \(verb) for \(document ?? "no data")")
                }
            }
        }
    }

    @Test("values of a condition are alternatives, conditions hold together, and with other filters", arguments: StoreBackend.available)
    func combined(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add(
                (0..<30).map {
                    stored("\($0)", type: "t\($0 % 2)", at: noon + .milliseconds($0), data: #"{"a":\#($0 % 3),"b":{"c":"\#($0 % 5)"}}"#)
                })
            let any = DataCondition(path: ["a"], values: ["0", "2"])
            let both = Selection(project: "p", data: [any, DataCondition(path: ["b", "c"], values: ["4"])])
            #expect(try await store.ids(both) == ["29", "24", "14", "9"])
            var typed = both
            typed.types = ["t0"]
            typed.to = noon + .milliseconds(24)
            #expect(try await store.ids(typed) == ["14"])
            let same = DataCondition(path: ["a"], values: ["0"])
            #expect(try await store.ids(Selection(project: "p", data: [same, DataCondition(path: ["a"], values: ["1"])])) == [])
        }
    }

    @Test("a page is filled past events that do not match", arguments: StoreBackend.available)
    func sparse(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<500).map { stored("\($0)", at: noon + .milliseconds($0), data: #"{"n":\#($0 % 100)}"#) })
            let filter = Selection(project: "p", data: [DataCondition(path: ["n"], values: ["7"])])
            #expect(try await store.ids(filter, limit: 3) == ["407", "307", "207"])
            #expect(try await store.ids(filter, pagesOf: 2) == ["407", "307", "207", "107", "7"])
        }
    }
}
