import AnalyticsCore
import Foundation
import TestSupport
import Testing

@Suite("Store contract: counts of the pipeline", .timeLimit(.minutes(2)))
struct StoreContractPipeline {
    /// A store may drop what is old at any time.
    private static let minute = Int64(Date().timeIntervalSince1970) / 60

    private static func cell(
        _ offset: Int64 = 0, project: ProjectID = "p", writer: String = "w", revision: Int64 = 1, accepted: Int64 = 1
    ) -> PipelineCell {
        var counts = PipelineCounts()
        (counts.accepted, counts.rejected, counts.first) = (accepted, [.tooDeep: 3], noon)
        return PipelineCell(project: project, minute: minute + offset, writer: writer, revision: revision, counts: counts)
    }

    private static func all(_ store: any Store, _ project: ProjectID = "p") async throws -> [PipelineCell] {
        try await store.pipelineCells(of: project, minutes: minute - 100..<minute + 100)
    }

    @Test("cells of several writers are kept apart, and read by project and minute", arguments: StoreBackend.available)
    func reading(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let writers = ["", "a", "a\u{0}b", "b", "\u{E9}", "e\u{301}"]
            let cells = (-2...2 as ClosedRange<Int64>).flatMap { minute in writers.map { Self.cell(minute, writer: $0) } }
            try await store.write(cells.shuffled())
            try await store.write([Self.cell(project: "p-1"), Self.cell(project: "o"), Self.cell(1, project: "q")])
            try await store.write([])
            let found = try await Self.all(store)
            #expect(found.map(\.minute) == cells.map(\.minute))
            #expect(found.sorted(by: Self.precedes) == cells.sorted(by: Self.precedes))
            let some = try await store.pipelineCells(of: "p", minutes: Self.minute - 1..<Self.minute + 1)
            #expect(some.count == 12 && Set(some.map(\.minute)) == [Self.minute - 1, Self.minute])
            #expect(try await store.pipelineCells(of: "p", minutes: Self.minute..<Self.minute).isEmpty)
            #expect(try await Self.all(store, "p-1") == [Self.cell(project: "p-1")])
        }
    }

    private static func precedes(_ a: PipelineCell, _ b: PipelineCell) -> Bool {
        a.minute != b.minute ? a.minute < b.minute : a.writer.utf8.lexicographicallyPrecedes(b.writer.utf8)
    }

    @Test("the highest revision stands, in whichever order they come", arguments: StoreBackend.available)
    func revisions(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for revision in [3, 1, 2, 3, 5, 4] as [Int64] {
                // A number may fall: what was counted too soon is taken back.
                try await store.write([Self.cell(revision: revision, accepted: 10 - revision), Self.cell(1, revision: 7)])
            }
            #expect(try await Self.all(store) == [Self.cell(revision: 5, accepted: 5), Self.cell(1, revision: 7)])
        }
    }

    @Test("of writes at the same time none is lost to one that is older", arguments: StoreBackend.available)
    func atTheSameTime(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for round in 0..<10 as Range<Int64> {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for revision in 1...8 as ClosedRange<Int64> {
                        group.addTask { try await store.write([Self.cell(round, revision: revision, accepted: revision)]) }
                    }
                    try await group.waitForAll()
                }
            }
            #expect(try await Self.all(store).map(\.counts.accepted) == Array(repeating: 8, count: 10))
        }
    }

    /// MongoDB deletes them by an index, in its own time.
    @Test("what is older than a day is deleted with the next write", arguments: [.sqlite] as [StoreBackend])
    func forgetting(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.write([Self.cell(-1_600), Self.cell(1_600)])
            try await store.write([Self.cell(-1_400), Self.cell()])
            let found = try await store.pipelineCells(of: "p", minutes: Self.minute - 2_000..<Self.minute + 2_000)
            #expect(found.map(\.minute) == [Self.minute - 1_400, Self.minute])
        }
    }
}
