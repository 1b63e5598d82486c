import AnalyticsCore
import Foundation
import Testing

@testable import AnalyticsImport

@Suite struct FileImportTests {
    @Test("Each line without an id gets one of its own, the same in whatever batches it is sent")
    func ids() async throws {
        let rig = ImportRig(events(0..<100))
        #expect(try await rig.run(batchSize: 7) == ImportTally(accepted: 100))
        let ids = Set(rig.service.stored.keys)
        #expect(ids.count == 100)
        #expect(ids.allSatisfy { UUID(uuidString: $0) != nil && Array($0.utf8)[14] == UInt8(ascii: "8") })
        for batch in [1, 10, 100] {
            #expect(try await rig.run(batchSize: batch, chunk: batch, restarts: true) == ImportTally(duplicates: 100))
        }
        #expect(Set(rig.service.stored.keys) == ids)
    }

    @Test("The id stands in the line, the rest of it stays; what is no event is sent as it is, and told by its line")
    func lines() async throws {
        let texts = [
            #"{ "type" : "é", "data":{"id":null}}"#, #"{"id":"mine"}"#, "", #"{"a":1,"id" : null }"#, "[1]", #"{"a":tru}"#, "{}", "\u{00}",
            "  {\"b\":1}",
        ]
        let rig = ImportRig("\u{FEFF}" + texts.joined(separator: "\r\n"))
        #expect(try await rig.run(name: "n", batchSize: 5) == ImportTally(accepted: 5, rejected: 3))
        func id(_ line: Int) -> String { IDGenerator.derived(importName: "n", line: line, bytes: Array(texts[line - 1].utf8)) }
        #expect(
            Set(rig.service.sent.map { String(decoding: $0, as: UTF8.self) }) == [
                #"{"id":"\#(id(1))", "type" : "é", "data":{"id":null}}"#, #"{"id":"mine"}"#, #"{"a":1,"id" : "\#(id(4))" }"#, "[1]",
                #"{"a":tru}"#, #"{"id":"\#(id(7))"}"#, "\u{00}", "  {\"id\":\"\(id(9))\",\"b\":1}",
            ])
        #expect(rig.said.map { $0.prefix { $0 != ":" } }.sorted() == ["line 5", "line 6", "line 8"])
    }

    @Test("The name is the file's and its first line's, or the one that is given; ids follow from it")
    func names() async throws {
        let rig = ImportRig(events(0..<3))
        try await rig.run()
        try await rig.run(fileName: "other", restarts: true)
        try await rig.run(name: "n", restarts: true)
        #expect(rig.service.stored.count == 9)
        try await rig.run(name: "n", fileName: "moved", restarts: true)
        #expect(rig.service.stored.count == 9)
        rig.set(#"{"first":"of another file"}"# + "\n" + events(1..<3))
        try await rig.run(restarts: true)
        #expect(rig.service.stored.count == 12)
    }

    @Test("Rows get ids like lines; one that the mapping gives stays, but for an empty one")
    func rows() async throws {
        let rig = ImportRig("\u{FEFF}key,what\r\nk1,a\r\n\r\n,\"b\nb\"\r\n,a")
        let csv = ImportFormat.csv(separator: UInt8(ascii: ","))
        let mappings = ["id={key}", "type={what}", "source={#}"]
        #expect(try await rig.run(csv, name: "n", mappings: mappings) == ImportTally(accepted: 3))
        let ids = [(4, ",\"b\nb\""), (6, ",a")].map { IDGenerator.derived(importName: "n", line: $0.0, bytes: Array($0.1.utf8)) }
        #expect(Set(rig.service.stored.keys) == Set(["k1"] + ids))
        #expect(rig.service.stored[ids[0]].map { String(decoding: $0, as: UTF8.self) }?.contains(#""type":"b\nb","source":"2""#) == true)
        rig.append("\r\nk2,c\r\n")
        #expect(try await rig.run(csv, name: "n", mappings: mappings) == ImportTally(accepted: 1))
        #expect(rig.service.stored["k2"].map { String(decoding: $0, as: UTF8.self) }?.contains(#""source":"4""#) == true)
    }

    @Test("A row that ends inside quotes is told and not sent; once it is whole it is")
    func unclosedRow() async throws {
        let rig = ImportRig("a\n1\n2\n\"3\n")
        let csv = ImportFormat.csv(separator: UInt8(ascii: ","))
        let mappings = ["type={a}", "source=s"]
        #expect(try await rig.run(csv, mappings: mappings) == ImportTally(accepted: 2, rejected: 1))
        #expect(rig.said == ["line 4: a quoted field is not closed at the end of the file; the row is not sent"])
        rig.append("3\"\n4\n")
        #expect(try await rig.run(csv, mappings: mappings) == ImportTally(accepted: 2))
    }

    @Test("A request holds no more bytes than a service takes; one that is too large all the same is halved, down to the event")
    func largeLines() async throws {
        let line = #"{"type":"t","data":""# + String(repeating: "x", count: 1 << 20) + "\"}\n"
        let rig = ImportRig(String(repeating: line, count: 10) + events(0..<3))
        try await rig.run(batchSize: 1_000)
        #expect(rig.service.stored.count == 13)
        #expect(rig.service.with { $0.posts.map { $0.reduce(0) { $0 + $1.count } }.max()! } < FileImport.batchBytes + 1_000)

        rig.service.with {
            $0.stored = [:]
            $0.maximumBodyBytes = 1 << 20
        }
        #expect(try await rig.run(batchSize: 1_000, restarts: true) == ImportTally(accepted: 3, rejected: 10))
        #expect(Set(rig.said) == Set((1...10).map { "line \($0): body_too_large: big" }))
    }

    @Test("More refusals than a reader would read are counted, not listed")
    func manyRefusals() async throws {
        let rig = ImportRig(String(repeating: "[]\n", count: 50))
        #expect(try await rig.run() == ImportTally(rejected: 50))
        #expect(rig.said.count == FileImport.refusalsTold)
    }

    @Test("An empty input is nothing, and what comes later is all of it", arguments: ["", "\u{FEFF}", "\n\r\n", "  "])
    func empty(_ text: String) async throws {
        let rig = ImportRig(text)
        #expect(try await rig.run() == ImportTally())
        rig.append("\n" + events(0..<5))
        #expect(try await rig.run() == ImportTally(accepted: 5))
    }
}
