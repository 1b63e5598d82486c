public import AnalyticsCore
import Foundation
import GRDB
public import Logging

/// The embedded store: events and rollups in one SQLite file, in WAL mode.
///
/// GRDB serialises writes on a queue of its own; they are synced to the disk when they return. Writes that wait together share a
/// transaction. Reads run concurrently on up
/// to five connections. Nothing here blocks a thread of Swift's cooperative pool. A task that is cancelled or past its ``Deadline``
/// gets ``StoreError/Code/unavailable``, and its write may have been undone. A wait for another process's lock is not interrupted;
/// it ends after 5 seconds at most.
public final class SQLiteStore: Store {
    private let pool: DatabasePool
    /// For keys, which requests wait for: questions may occupy all readers of the pool.
    private let keyReader: DatabaseQueue
    private let group: SQLiteWriteGroup
    private let timers = OperationTimers<StoreOperation>()

    /// Opens the database at `path`; creates the file and its folders if they are missing.
    ///
    /// Throws ``StoreError/Code/misconfigured`` if this path cannot hold a database.
    public init(path: String, logger: Logger) throws(StoreError) {
        do {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            PrivateFile.prepare(path)
            pool = try DatabasePool(path: path, configuration: Self.configuration)
            group = SQLiteWriteGroup(pool: pool)
            // GRDB opens in WAL mode with synchronous = NORMAL: a power failure may undo the last commits
            // (https://www.sqlite.org/pragma.html#pragma_synchronous). Acknowledged writes must survive it: FULL syncs each commit.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            keyReader = try DatabaseQueue(path: path, configuration: Self.configuration)
        } catch {
            throw Self.storeError(error, in: "open \(path)", otherwise: .misconfigured)
        }
        logger.debug("store opened", metadata: ["path": "\(path)"])
    }

    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.label = "analytics.store"
        // Seconds to wait for another process on the same file, such as an import or a backup.
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            // 8 MiB of pages per connection. A WAL that grew above 64 MiB is truncated to that after a checkpoint.
            try db.execute(sql: "PRAGMA cache_size = -8192; PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4000")
        }
        return configuration
    }

    public func prepare() async throws(StoreError) {
        // Can take long after an upgrade: alone, so that it can be interrupted.
        try await run(.prepare) { [pool] in try await pool.write { db in try SQLiteStoreSchema.prepare(db) } }
    }

    /// Writes, because only a write detects a full disk.
    public func checkHealth() async throws(StoreError) {
        try await write(.checkHealth) { db in
            try db.execute(sql: "INSERT INTO health (id, checks) VALUES (1, 1) ON CONFLICT DO UPDATE SET checks = checks + 1")
        }
    }

    /// Runs `body` in a transaction of the only writer, perhaps together with other writes: see ``SQLiteWriteGroup``.
    func write<T: Sendable>(
        _ operation: StoreOperation, _ body: @escaping @Sendable (Database) throws -> T
    ) async throws(StoreError) -> T {
        try await run(operation) { [group] in try await group(body) }
    }

    /// Runs `body` on one snapshot.
    func read<T: Sendable>(
        _ operation: StoreOperation, _ body: @escaping @Sendable (Database) throws -> T
    ) async throws(StoreError) -> T {
        try await run(operation) { [pool] in try await pool.read(body) }
    }

    /// Like ``read(_:_:)``, without a transaction: each statement reads the state that is current when it begins.
    func readEach<T: Sendable>(
        _ operation: StoreOperation, _ body: @escaping @Sendable (Database) throws -> T
    ) async throws(StoreError) -> T {
        try await run(operation) { [pool] in try await pool.unsafeRead(body) }
    }

    /// Like ``read(_:_:)``, on a connection of its own.
    func readKeys<T: Sendable>(
        _ operation: StoreOperation, _ body: @escaping @Sendable (Database) throws -> T
    ) async throws(StoreError) -> T {
        try await run(operation) { [keyReader] in try await keyReader.read(body) }
    }

    /// Runs `body` outside a transaction, on the only writer.
    func unlogged<T: Sendable>(
        _ operation: StoreOperation, _ body: @escaping @Sendable (Database) throws -> T
    ) async throws(StoreError) -> T {
        try await run(operation) { [pool] in try await pool.writeWithoutTransaction(body) }
    }

    /// Like ``unlogged(_:_:)``, while no reads of this pool run.
    func alone<T: Sendable>(
        _ operation: StoreOperation, _ body: @escaping @Sendable (Database) throws -> T
    ) async throws(StoreError) -> T {
        try await run(operation) { [pool] in try await pool.barrierWriteWithoutTransaction(body) }
    }

    private func run<T: Sendable>(
        _ operation: StoreOperation, _ body: @escaping @Sendable () async throws -> T
    ) async throws(StoreError) -> T {
        try await timers.time(operation) { () throws(StoreError) in
            do {
                return try await Deadline.enforce(body)
            } catch {
                throw Self.storeError(error, in: operation.rawValue)
            }
        }
    }
}

extension SQLiteStore {
    /// https://www.sqlite.org/rescode.html
    static func storeError(_ error: any Error, in operation: String, otherwise code: StoreError.Code = .unavailable) -> StoreError {
        switch error {
        case let error as StoreError:
            error
        case is CancellationError:
            StoreError(.unavailable, operation: operation, "cancelled", cause: error)
        case let error as DatabaseError:
            StoreError(Self.code(of: error.resultCode) ?? code, operation: operation, error.description, cause: error)
        default:
            StoreError(code, operation: operation, "\(error)", cause: error)
        }
    }

    private static func code(of resultCode: ResultCode) -> StoreError.Code? {
        switch resultCode {
        case .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_NOMEM, .SQLITE_INTERRUPT, .SQLITE_ABORT, .SQLITE_PROTOCOL:
            .unavailable
        case .SQLITE_TOOBIG, .SQLITE_CONSTRAINT, .SQLITE_RANGE, .SQLITE_MISMATCH:
            .refused
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH, .SQLITE_ERROR, .SQLITE_FORMAT, .SQLITE_SCHEMA:
            .misconfigured
        default:
            nil
        }
    }
}
