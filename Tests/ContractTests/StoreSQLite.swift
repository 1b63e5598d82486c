import AnalyticsCore
import Foundation
import GRDB
import TestSupport
import Testing

@testable import AnalyticsEmbedded

/// What only the embedded store has: a file.
@Suite("SQLite store")
struct StoreSQLite {
    /// A path in a folder of its own, removed at the end.
    private func withPath(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("store-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.appendingPathComponent("events.sqlite").path)
    }

    private func code(_ body: () async throws -> Void) async -> StoreError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    @Test("only the user who runs the service can read the files, and those that an earlier version has left")
    func rights() async throws {
        try await withPath { path async throws in
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
            func rights() throws -> [String: Int] {
                try FileManager.default.contentsOfDirectory(atPath: folder.path).reduce(into: [:]) { rights, name in
                    let file = folder.appendingPathComponent(name).path
                    rights[name] = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
                }
            }
            func check(_ names: [String]) throws {
                let rights = try rights()
                #expect(Set(names).isSubset(of: rights.keys) && rights.values.allSatisfy { $0 == 0o600 }, "\(rights)")
            }
            let store = try SQLiteStore(path: path, logger: quiet)
            try await store.prepare()
            let queue = try SQLiteQueue(path: path + ".queue", logger: quiet)
            let names = ["", "-shm", "-wal", ".queue", ".queue-wal"].map { "events.sqlite" + $0 }
            try check(names)
            await queue.shutdown()
            for name in try rights().keys {
                let file = folder.appendingPathComponent(name).path
                try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
            }
            let again = try (SQLiteStore(path: path, logger: quiet), SQLiteQueue(path: path + ".queue", logger: quiet))
            try check(names)
            await again.1.shutdown()
            withExtendedLifetime((store, again.0)) {}
        }
    }

    @Test("an event that breaks a constraint is refused alone")
    func refusedAlone() async throws {
        try await withPath { path async throws in
            let store = try SQLiteStore(path: path, logger: quiet)
            try await store.prepare()
            try await store.write(.prepare) { db in
                try db.execute(
                    sql: "CREATE TRIGGER rule BEFORE INSERT ON events WHEN NEW.type = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END")
            }
            let outcomes = try await store.insert([stored("a"), stored("b", type: "bad"), stored("c")])
            guard case .refused(let reason) = outcomes[1] else { throw UnexpectedOutcome(outcome: outcomes[1]) }
            #expect(reason.contains("no"))
            #expect([outcomes[0], outcomes[2]] == [.stored, .stored])
            #expect(try await store.ids(Selection(project: "p")) == ["c", "a"])
        }
    }

    @Test("reports are dropped ten minutes after they were of use")
    func oldReports() async throws {
        try await withPath { path async throws in
            let store = try SQLiteStore(path: path, logger: quiet)
            try await store.prepare()
            func report(_ request: String, after seconds: Int) -> DeliveryReport {
                DeliveryReport(project: "p", request: request, first: 0, stored: 1, at: noon + .seconds(seconds))
            }
            try await store.add([report("a", after: 0), report("b", after: 1)])
            try await store.add([report("c", after: 601)])
            #expect(try await store.reports(project: "p", request: "a") == [])
            #expect(try await store.reports(project: "p", request: "b").count == 1)
            #expect(try await store.reports(project: "p", request: "c").count == 1)
        }
    }

    @Test("what was stored is there after the file is opened again")
    func reopening() async throws {
        try await withPath { path async throws in
            for expected in [InsertOutcome.stored, .redelivered] {
                let store = try SQLiteStore(path: path, logger: quiet)
                try await store.prepare()
                #expect(try await store.insert([stored("a")]) == [expected])
                try await store.mark(.minute, [key(1)])
            }
            let version = try await SQLiteStore(path: path, logger: quiet).rollup(.minute, key(1))?.version
            #expect(version == 2)
        }
    }

    @Test("a path where there can be no database is refused at once")
    func impossiblePath() async throws {
        try await withPath { path async throws in
            try Data("not a folder".utf8).write(to: URL(fileURLWithPath: path))
            let below = await code { _ = try SQLiteStore(path: path + "/events.sqlite", logger: quiet) }
            #expect(below == .misconfigured)
            let noDatabase = await code { try await SQLiteStore(path: path, logger: quiet).prepare() }
            #expect(noDatabase == .misconfigured)
        }
    }

    @Test("a file that a newer version has written is left alone")
    func newerVersion() async throws {
        try await withPath { path async throws in
            try await SQLiteStore(path: path, logger: quiet).prepare()
            // The user version stands at offset 60 of the header, big-endian (https://www.sqlite.org/fileformat.html).
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            try file.seek(toOffset: 60)
            try file.write(contentsOf: Data([0, 0, 0, 99]))
            try file.close()
            await expectRefusal(of: 99, knowing: Int64(SQLiteStoreSchema.version)) {
                try await SQLiteStore(path: path, logger: quiet).prepare()
            }
        }
    }

    @Test("several may prepare and fill the same new file at once")
    func sharing() async throws {
        try await withPath { path async throws in
            let stores = try (0..<4).map { _ in try SQLiteStore(path: path, logger: quiet) }
            let outcomes = try await withThrowingTaskGroup(of: [InsertOutcome].self) { group in
                for (index, store) in stores.enumerated() {
                    group.addTask {
                        try await store.prepare()
                        return try await store.insert((0..<100).map { stored("\($0)", ingestID: "\(index)") })
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(outcomes.count { $0 == .stored } == 100)
            #expect(outcomes.count { $0 == .duplicate(heldAt: noon) } == 300)
        }
    }

    @Test("a cancelled task is told that the store is not available, and the store goes on")
    func cancellation() async throws {
        try await withPath { path async throws in
            let store = try SQLiteStore(path: path, logger: quiet)
            try await store.prepare()
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return await code { _ = try await store.insert([stored("a")]) }
            }
            #expect(await task.value == .unavailable)
            #expect(try await store.insert([stored("a")]) == [.stored])
        }
    }

    @Test("the types of a listing may be more than it walks one by one")
    func manyAlternatives() async throws {
        try await withPath { path async throws in
            let store = try SQLiteStore(path: path, logger: quiet)
            try await store.prepare()
            try await store.add((0..<200).map { stored("\($0)", type: "t\($0)", at: noon + .milliseconds($0)) })
            for count in [SQLiteSelection.branchLimit, SQLiteSelection.branchLimit + 1, 1500] {
                let types = (0..<count).map { "t\($0)" } + ["t0"]
                let newest = (0..<min(count, 200)).suffix(10).reversed().map(String.init)
                #expect(try await store.ids(Selection(project: "p", types: types), limit: 10) == newest)
            }
        }
    }
}
