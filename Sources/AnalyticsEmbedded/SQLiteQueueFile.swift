import AnalyticsCore
import Foundation
import GRDB

/// The queue's tables, with one method per transaction. One connection in one process: it holds the file's lock as long as it is open.
struct SQLiteQueueFile: Sendable {
    /// What an earlier process left in the file.
    struct Contents: Sendable {
        var events: RangeSet<Int64>
        var deadLetters: Int
        /// How many times the file has been opened, including this time.
        var opening: UInt32
    }

    private let database: DatabaseQueue
    private static let pageSize = 4096

    /// Blocks while it reads every id. Throws if the file is not a queue, cannot be written, is open in another process,
    /// or was written by a newer version.
    static func open(path: String, maximumBytes: Int) throws -> (SQLiteQueueFile, Contents) {
        var configuration = Configuration()
        configuration.label = "SQLiteQueue"
        configuration.prepareDatabase { db in
            // <https://www.sqlite.org/pragma.html>. The first two must come before the tables and before the write-ahead log.
            // INCREMENTAL: returns disk space when a backlog is gone.
            // EXCLUSIVE: only this process knows the unacknowledged deliveries, so no other may open it. It also avoids shared memory.
            // The log is checkpointed at 16 MiB and truncated to 32 MiB.
            try db.execute(
                sql: """
                    PRAGMA page_size = \(pageSize);
                    PRAGMA auto_vacuum = INCREMENTAL;
                    PRAGMA locking_mode = EXCLUSIVE;
                    PRAGMA max_page_count = \(max(64, maximumBytes / pageSize));
                    PRAGMA wal_autocheckpoint = 4096;
                    PRAGMA journal_size_limit = 33554432;
                    """)
        }
        configuration.journalMode = .wal
        PrivateFile.prepare(path)
        let file = SQLiteQueueFile(database: try DatabaseQueue(path: path, configuration: configuration))
        return (file, try file.prepare())
    }

    private func prepare() throws -> Contents {
        try database.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            var contents = Contents(events: RangeSet(), deadLetters: 0, opening: 0)
            try db.inTransaction(.immediate) {
                try SQLiteQueueSchema.prepare(db)
                try db.execute(sql: "INSERT INTO openings VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET count = count + 1")
                // The earlier process had delivered these, and they were not acknowledged.
                for row in try Row.fetchAll(db, sql: "SELECT first, next FROM out") {
                    try Self.raise(db, row["first"]..<row["next"])
                }
                try db.execute(sql: "DELETE FROM out")
                contents.opening = try UInt32.fetchOne(db, sql: "SELECT count FROM openings") ?? 0
                contents.deadLetters = try Int.fetchOne(db, sql: "SELECT count(*) FROM deadLetters") ?? 0
                contents.events = try Self.ids(db)
                return .commit
            }
            return contents
        }
    }

    /// Inserts messages, all or none; events get ids from `firstID` on. Returns when they are on the disk.
    ///
    /// - parameter afterFailure: The last write failed. A failed fsync may have lost parts of the log without an error from the next
    ///   fsync, so the log is first checkpointed and truncated.
    func append(_ rows: [SQLiteQueueBacklog.Group.Row], firstID: Int64, afterFailure: Bool) async throws {
        try await database.writeWithoutTransaction { db in
            // <https://www.sqlite.org/pragma.html#pragma_synchronous>: in WAL mode FULL syncs the log at each commit, including earlier
            // commits that were not synced.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            if afterFailure { try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
            try db.inTransaction(.immediate) {
                let event = try db.cachedStatement(sql: "INSERT INTO events VALUES (?, 0, ?)")
                let deadLetter = try db.cachedStatement(sql: "INSERT INTO deadLetters (body) VALUES (?)")
                var id = firstID
                for row in rows {
                    switch row.queue {
                    case .events:
                        try event.execute(arguments: [id, Data(row.body)])
                        id += 1
                    case .deadLetters:
                        try deadLetter.execute(arguments: [Data(row.body)])
                    }
                }
                return .commit
            }
        }
    }

    /// The result of a settlement: its deliveries, and the handouts beyond the byte limit.
    struct Handed: Sendable {
        var deliveries: [(consumer: UInt64, delivery: Delivery)] = []
        var unread: [SQLiteQueueLedger.Handout] = []
        fileprivate var bytes = 0
    }

    /// Writes a settlement and reads its deliveries, up to `maximumBytes`. The delivery counts are in the file before this
    /// returns. They survive the process, but are not synced to the disk: after a power failure, a message may be redelivered with
    /// its old count.
    func settle(_ settlement: SQLiteQueueLedger.Settlement, maximumBytes: Int) async throws -> Handed {
        try await database.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            var handed = Handed()
            try db.inTransaction(.immediate) {
                let delete = try db.cachedStatement(sql: "DELETE FROM events WHERE id >= ? AND id < ?")
                for range in settlement.acknowledged.ranges {
                    try delete.execute(arguments: [range.lowerBound, range.upperBound])
                }
                for range in settlement.returned.ranges {
                    try Self.raise(db, range)
                }
                for handout in settlement.handouts { try Self.read(handout, db, maximumBytes, into: &handed) }
                try db.cachedStatement(sql: "DELETE FROM out").execute()
                let insert = try db.cachedStatement(sql: "INSERT INTO out VALUES (?, ?)")
                let out = handed.unread.reduce(into: settlement.out) { $0.subtract($1.ids) }
                for range in out.ranges {
                    try insert.execute(arguments: [range.lowerBound, range.upperBound])
                }
                return .commit
            }
            return handed
        }
    }

    /// Returns unused pages to the file system in steps, except for 16 MiB of them. Returns whether more are left.
    func shrink() async throws -> Bool {
        try await database.writeWithoutTransaction { db in
            let keep = 16 * 1024 * 1024 / Self.pageSize
            guard try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0 > keep else { return false }
            try db.execute(sql: "PRAGMA synchronous = NORMAL; PRAGMA incremental_vacuum(1024)")
            if try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0 > keep { return true }
            // The file shrinks only when the log is checkpointed.
            try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)")
            return false
        }
    }

    /// Writes a few pages to the disk, to check that writes succeed.
    func probe() async throws {
        try await database.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.inTransaction(.immediate) {
                try db.execute(sql: "INSERT INTO probe VALUES (1, zeroblob(65536))")
                try db.execute(sql: "DELETE FROM probe")
                return .commit
            }
        }
    }

    /// The dead letters after this id.
    func deadLetters(after id: Int64, limit: DeadLetterLimit) async throws -> DeadLetterPage {
        try await database.read { db in
            var page = DeadLetterPageBuilder(limit)
            var last = id
            // length() of a blob does not read the blob: <https://www.sqlite.org/lang_corefunc.html#length>.
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT id, length(body), CASE WHEN length(body) <= ? THEN body END FROM deadLetters WHERE id > ? ORDER BY id LIMIT ?
                    """, arguments: [limit.bytes, id, limit.letters + 1])
            while let row = try rows.next() {
                let size: Int = row[1] ?? 0
                switch page.room(for: size) {
                case .body: page.append(try row.withUnsafeData(atIndex: 2) { $0.map(Array.init) ?? [] })
                case .sizeOnly: page.append(sizeOnly: size)
                case .none: return page.page(hasMore: true, next: DeadLetterPosition(text: String(last)))
                }
                last = row[0]
            }
            return page.page(hasMore: false)
        }
    }

    /// Deletes the dead letters for which `takes` returns true, in batches. Returns when the deletions are on the disk.
    func deleteDeadLetters(where takes: @escaping @Sendable ([UInt8]) -> Bool) async throws {
        var last: Int64 = 0
        while let next = try await deleteDeadLetters(after: last, where: takes) { last = next }
    }

    /// Returns the id of the last dead letter examined; `nil` at the end.
    private func deleteDeadLetters(after id: Int64, where takes: @escaping @Sendable ([UInt8]) -> Bool) async throws -> Int64? {
        try await database.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            var (last, taken, bytes): (Int64?, [Int64], Int) = (nil, [], 0)
            try db.inTransaction(.immediate) {
                let rows = try Row.fetchCursor(
                    db, sql: "SELECT id, body FROM deadLetters WHERE id > ? ORDER BY id LIMIT 500", arguments: [id])
                while bytes < 8 << 20, let row = try rows.next() {
                    let body = try row.withUnsafeData(atIndex: 1) { $0.map(Array.init) ?? [] }
                    last = row[0]
                    bytes += body.count
                    if takes(body) { taken.append(row[0]) }
                }
                for id in taken { try db.execute(sql: "DELETE FROM deadLetters WHERE id = ?", arguments: [id]) }
                return .commit
            }
            return last
        }
    }

    /// Rewrites the whole file and truncates the log, because SQLite does not overwrite deleted data. Returns false if the file is so large
    /// that publishers would wait too long.
    func overwriteDeleted(upTo maximumBytes: Int) async throws -> Bool {
        try await database.writeWithoutTransaction { db in
            let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            let free = try Int.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
            guard (pages - free) * Self.pageSize <= maximumBytes else { return false }
            try db.execute(sql: "PRAGMA synchronous = FULL; VACUUM")
            return try Int.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)") == 0
        }
    }

    func close() throws {
        try database.close()
    }

    private static func raise(_ db: Database, _ range: Range<Int64>) throws {
        try db.cachedStatement(sql: "UPDATE events SET redeliveries = redeliveries + 1 WHERE id >= ? AND id < ?")
            .execute(arguments: [range.lowerBound, range.upperBound])
    }

    private static func ids(_ db: Database) throws -> RangeSet<Int64> {
        var ids = RangeSet<Int64>()
        var run: Range<Int64>?
        let cursor = try Int64.fetchCursor(db, sql: "SELECT id FROM events ORDER BY id")
        while let id = try cursor.next() {
            if let current = run, current.upperBound == id {
                run = current.lowerBound..<id + 1
            } else {
                if let run { ids.insert(contentsOf: run) }
                run = id..<id + 1
            }
        }
        if let run { ids.insert(contentsOf: run) }
        return ids
    }

    private static func read(
        _ handout: SQLiteQueueLedger.Handout, _ db: Database, _ maximumBytes: Int, into handed: inout Handed
    ) throws {
        let select = try db.cachedStatement(sql: "SELECT id, redeliveries, body FROM events WHERE id >= ? AND id < ? ORDER BY id")
        var unread = handout
        for range in handout.ids.ranges {
            let rows = try Row.fetchCursor(select, arguments: [range.lowerBound, range.upperBound])
            while handed.bytes < maximumBytes, let row = try rows.next() {
                let id: Int64 = row[0]
                let body = try row.withUnsafeData(atIndex: 2) { $0.map(Array.init) ?? [] }
                let handle = DeliveryHandle(epoch: handout.consumer, tag: UInt64(id))
                handed.deliveries.append((handout.consumer, Delivery(handle: handle, body: body, redeliveries: row[1])))
                handed.bytes += body.count
                unread.ids.remove(contentsOf: id..<id + 1)
            }
        }
        if !unread.ids.isEmpty { handed.unread.append(unread) }
    }
}
