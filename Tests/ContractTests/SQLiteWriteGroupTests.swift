import Dispatch
import Foundation
import GRDB
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsEmbedded

@Suite("SQLite writes that wait together")
struct SQLiteWriteGroupTests {
    /// Counts commits.
    private final class Commits: TransactionObserver, Sendable {
        let count = Mutex(0)

        func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool { true }
        func databaseDidChange(with event: DatabaseEvent) {}
        func databaseDidCommit(_ db: Database) { count.withLock { $0 += 1 } }
        func databaseDidRollback(_ db: Database) {}
    }

    private struct Refused: Error {}

    private struct Rig {
        let pool: DatabasePool
        let group: SQLiteWriteGroup
        let commits = Commits()

        /// Runs the writes while another holds the writer, so that all of them wait; `meanwhile` runs when they do.
        func together(
            _ writes: [@Sendable (Database) throws -> Void], meanwhile: ([Task<Void, any Error>]) async throws -> Void = { _ in }
        ) async throws -> [Result<Void, any Error>] {
            let (began, goOn) = (Flag(), DispatchSemaphore(value: 0))
            let holder = Task {
                try await group { _ in
                    began.isTaken = true
                    goOn.wait()
                }
            }
            try await eventually("the writer is held") { began.isTaken }
            commits.count.withLock { $0 = 0 }
            var tasks: [Task<Void, any Error>] = []
            for write in writes {
                tasks.append(Task { try await group(write) })
                try await eventually("the write waits") { group.waitingCount == tasks.count }
            }
            try await meanwhile(tasks)
            goOn.signal()
            try await holder.value
            var results: [Result<Void, any Error>] = []
            for task in tasks { results.append(await task.result) }
            return results
        }

        func names() async throws -> [String] {
            try await pool.read { try String.fetchAll($0, sql: "SELECT name FROM t ORDER BY rowid") }
        }
    }

    private static func insert(_ name: String) -> @Sendable (Database) throws -> Void {
        { try $0.execute(sql: "INSERT INTO t (name) VALUES (?)", arguments: [name]) }
    }

    private func withRig(_ body: (Rig) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("group-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let pool = try DatabasePool(path: folder.appendingPathComponent("db").path)
        try await pool.write { try $0.execute(sql: "CREATE TABLE t (name TEXT UNIQUE)") }
        let rig = Rig(pool: pool, group: SQLiteWriteGroup(pool: pool))
        pool.add(transactionObserver: rig.commits, extent: .databaseLifetime)
        try await body(rig)
    }

    @Test("they share a transaction, in the order in which they came")
    func share() async throws {
        try await withRig { rig async throws in
            let results = try await rig.together(["a", "b", "c"].map(Self.insert))
            #expect(results.allSatisfy { (try? $0.get()) != nil })
            #expect(try await rig.names() == ["a", "b", "c"])
            #expect(rig.commits.count.withLock { $0 } == 2, "one of theirs, one of the write that held them up")
        }
    }

    @Test("one that fails is undone alone, and the others are written")
    func oneFails() async throws {
        try await withRig { rig async throws in
            let refused: @Sendable (Database) throws -> Void = { db in
                try Self.insert("bad")(db)
                throw Refused()
            }
            let results = try await rig.together([Self.insert("a"), refused, Self.insert("a"), Self.insert("c")])
            #expect(results.map { (try? $0.get()) != nil } == [true, false, false, true])
            #expect(throws: Refused.self) { try results[1].get() }
            #expect(throws: DatabaseError.self) { try results[2].get() }
            #expect(try await rig.names() == ["a", "c"])
        }
    }

    @Test("one that is cancelled while it waits does not run")
    func cancelled() async throws {
        try await withRig { rig async throws in
            let results = try await rig.together(["a", "b", "c"].map(Self.insert)) { tasks in
                tasks[1].cancel()
                try await eventually("it waits no more") { rig.group.waitingCount == 2 }
            }
            #expect(throws: CancellationError.self) { try results[1].get() }
            #expect(try await rig.names() == ["a", "c"])
        }
    }

    @Test("more than one transaction holds are all written")
    func many() async throws {
        try await withRig { rig async throws in
            let names = (0..<2 * SQLiteWriteGroup.limit + 1).map { "n\($0)" }
            let results = try await rig.together(names.map(Self.insert))
            #expect(results.allSatisfy { (try? $0.get()) != nil })
            #expect(try await rig.names() == names)
            #expect(rig.commits.count.withLock { $0 } == 4)
        }
    }
}
