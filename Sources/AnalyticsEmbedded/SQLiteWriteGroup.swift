import GRDB
import Synchronization

/// Runs the writes that wait at the same moment in one transaction: they share its sync to the disk, which costs more than most writes.
///
/// If one of them fails, the transaction is undone, and each runs again in a transaction of its own: one write's error is no other's.
/// So a body may run twice, and has no effects but those on the database.
final class SQLiteWriteGroup: Sendable {
    private struct Write: Sendable {
        let id: UInt64
        /// Returns what to do after the commit.
        let run: @Sendable (Database) throws -> @Sendable () -> Void
        let fail: @Sendable (any Error) -> Void
    }

    private let pool: DatabasePool
    private let waiting = Mutex<(writes: [Write], nextID: UInt64)>(([], 0))

    /// Maximum number of writes in a transaction.
    static let limit = 32

    init(pool: DatabasePool) {
        self.pool = pool
    }

    /// For tests.
    var waitingCount: Int { waiting.withLock(\.writes.count) }

    /// Returns when the write is durable. A write that is cancelled before it begins does not run; one that runs is not interrupted.
    func callAsFunction<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        let id = waiting.withLock { waiting in
            waiting.nextID += 1
            return waiting.nextID
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let write = Write(
                    id: id,
                    run: { db in
                        let value = try body(db)
                        return { continuation.resume(returning: value) }
                    },
                    fail: { continuation.resume(throwing: $0) })
                waiting.withLock { $0.writes.append(write) }
                // Cancelled before it waited: the handler has found nothing.
                if Task.isCancelled { cancel(id) }
                pool.asyncWriteWithoutTransaction { [self] db in runWaiting(db) }
            }
        } onCancel: {
            cancel(id)
        }
    }

    private func cancel(_ id: UInt64) {
        let write = waiting.withLock { waiting in
            waiting.writes.firstIndex { $0.id == id }.map { waiting.writes.remove(at: $0) }
        }
        write?.fail(CancellationError())
    }

    /// Runs on the writer's queue, once for each write; an earlier run has often taken the write of this one.
    private func runWaiting(_ db: Database) {
        let writes = waiting.withLock { waiting in
            let writes = Array(waiting.writes.prefix(Self.limit))
            waiting.writes.removeFirst(writes.count)
            return writes
        }
        guard !writes.isEmpty else { return }
        do {
            try Self.commit(writes, db)
        } catch {
            guard writes.count > 1 else { return writes[0].fail(error) }
            for write in writes {
                do { try Self.commit([write], db) } catch { write.fail(error) }
            }
        }
    }

    private static func commit(_ writes: [Write], _ db: Database) throws {
        var done: [@Sendable () -> Void] = []
        try db.inTransaction(.immediate) {
            done = try writes.map { try $0.run(db) }
            return .commit
        }
        for resume in done { resume() }
    }
}
