public import AnalyticsCore
import Foundation
import GRDB

extension SQLiteStore {
    public func segmentHeads(of project: ProjectID, days: [Range<Int64>]) async throws(StoreError) -> [StoredSegmentHead] {
        guard !days.isEmpty else { return [] }
        return try await read(.segmentHeads) { db in
            let statement = try db.cachedStatement(
                sql: "SELECT day, revision, head FROM segments WHERE project = CAST(? AS TEXT) AND day >= ? AND day < ? ORDER BY day")
            var heads: [StoredSegmentHead] = []
            for range in days.inOrderAndMerged() {
                let rows = try Row.fetchCursor(statement, arguments: [SQLiteText(project.name), range.lowerBound, range.upperBound])
                while let row = try rows.next() {
                    let bytes = try row.withUnsafeData(atIndex: 2) { $0.map { Array($0) } ?? [] }
                    heads.append(StoredSegmentHead(project: project, day: row[0], revision: row[1], bytes: bytes))
                }
            }
            return heads
        }
    }

    public func segmentRevisions(of project: ProjectID) async throws(StoreError) -> [Int64: Int64] {
        try await read(.segmentRevisions) { db in
            let statement = try db.cachedStatement(sql: "SELECT day, revision FROM segments WHERE project = CAST(? AS TEXT)")
            var revisions: [Int64: Int64] = [:]
            let rows = try Row.fetchCursor(statement, arguments: [SQLiteText(project.name)])
            while let row = try rows.next() { revisions[row[0]] = row[1] }
            return revisions
        }
    }

    public func writeSegmentHead(_ head: StoredSegmentHead, replacing revision: Int64) async throws(StoreError) -> Bool {
        try await write(.writeSegmentHead) { db in
            let arguments: StatementArguments = [head.revision, Data(head.bytes), SQLiteText(head.project.name), head.day]
            if revision == 0 {
                try db.cachedStatement(
                    sql: """
                        INSERT INTO segments (revision, head, project, day) VALUES (?, ?, CAST(? AS TEXT), ?) ON CONFLICT DO NOTHING
                        """
                ).execute(arguments: arguments)
            } else {
                try db.cachedStatement(
                    sql: "UPDATE segments SET revision = ?, head = ? WHERE project = CAST(? AS TEXT) AND day = ? AND revision = ?"
                ).execute(arguments: arguments + [revision])
            }
            return db.changesCount == 1
        }
    }

    public func writeSegmentBlobs(_ blobs: [SegmentBlob]) async throws(StoreError) {
        guard !blobs.isEmpty else { return }
        try await write(.writeSegmentBlobs) { db in
            let statement = try db.cachedStatement(
                sql: """
                    INSERT INTO segment_blobs (project, day, run, chunk, part, bytes) VALUES (CAST(? AS TEXT), ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET bytes = excluded.bytes
                    """)
            for blob in blobs {
                try statement.execute(arguments: blob.key.arguments + [Data(blob.bytes)])
            }
        }
    }

    public func segmentBlobs(_ keys: [SegmentBlob.Key]) async throws(StoreError) -> [[UInt8]?] {
        guard !keys.isEmpty else { return [] }
        return try await read(.segmentBlobs) { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT bytes FROM segment_blobs
                    WHERE project = CAST(? AS TEXT) AND day = ? AND run = ? AND chunk = ? AND part = ?
                    """)
            return try keys.map { key in
                try statement.first(key.arguments) { row in try row.withUnsafeData(atIndex: 0) { $0.map { Array($0) } ?? [] } }
            }
        }
    }

    public func deleteSegmentBlobs(of project: ProjectID, day: Int64, run: Int64) async throws(StoreError) {
        try await deleteBlobs("day = ? AND run = ?", [SQLiteText(project.name), day, run])
    }

    public func deleteSegments(of project: ProjectID, before day: Int64) async throws(StoreError) -> Int {
        try await deleteBlobs("day < ?", [SQLiteText(project.name), day])
        return try await write(.deleteSegments) { db in
            try db.cachedStatement(sql: "DELETE FROM segments WHERE project = CAST(? AS TEXT) AND day < ?")
                .execute(arguments: [SQLiteText(project.name), day])
            return db.changesCount
        }
    }
}

extension SQLiteStore {
    /// Deletes in batches, because inserts of events wait for the only writer.
    private func deleteBlobs(_ condition: String, _ arguments: StatementArguments) async throws(StoreError) {
        var deleted = 0
        repeat {
            deleted = try await write(.deleteSegments) { db in
                try db.cachedStatement(
                    sql: """
                        DELETE FROM segment_blobs WHERE rowid IN (
                            SELECT rowid FROM segment_blobs WHERE project = CAST(? AS TEXT) AND \(condition) LIMIT 100)
                        """
                ).execute(arguments: arguments)
                return db.changesCount
            }
        } while deleted > 0
    }
}

extension SegmentBlob.Key {
    fileprivate var arguments: StatementArguments { [SQLiteText(project.name), day, run, chunk, part.number] }
}
