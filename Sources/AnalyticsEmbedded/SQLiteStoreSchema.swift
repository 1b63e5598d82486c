import AnalyticsCore
import Foundation
import GRDB

/// The tables, and the migrations between versions.
enum SQLiteStoreSchema {
    /// One step per version, in order. A released step never changes.
    private static let steps: [@Sendable (Database) throws -> Void] = [
        { try $0.execute(sql: version1) },
        {
            try $0.execute(sql: version2)
            try raiseWatermarksAboveDeletedEvents($0)
        },
        { try $0.execute(sql: version3) },
        { try markFoldedBuckets($0) },
        { try $0.execute(sql: version5) },
        { try $0.execute(sql: version6) },
        { try $0.execute(sql: version7) },
        { try $0.execute(sql: version8) },
        { try $0.execute(sql: version9) },
        { try $0.execute(sql: version10) },
        { try $0.execute(sql: version11) },
        { try $0.execute(sql: version12) },
        { try $0.execute(sql: version13) },
        { try $0.execute(sql: version14) },
        { try $0.execute(sql: version15) },
        { try $0.execute(sql: version16) },
        { try $0.execute(sql: version17) },
        { try $0.execute(sql: version18) },
    ]

    /// The version that this program writes, in `PRAGMA user_version`.
    static var version: Int { steps.count }

    /// Upgrades the file to ``version``, or to an earlier one in tests. Call it in a transaction.
    ///
    /// `PRAGMA user_version` instead of GRDB's `DatabaseMigrator`, which looks for missing steps outside the transaction: if two
    /// processes started at once on a new file, one would fail.
    static func prepare(_ db: Database, to target: Int = SQLiteStoreSchema.version) throws {
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard (0...self.version).contains(version) else {
            throw StoreError(
                .misconfigured, operation: "prepare",
                "the store has schema version \(version), this program knows versions up to \(self.version): start a newer one")
        }
        guard version < target else { return }
        for step in steps[version..<target] { try step(db) }
        try db.execute(sql: "PRAGMA user_version = \(target)")
    }

    /// Events have a rowid, so that their bodies are appended; the orders by id and time are in the indexes, whose entries
    /// are small. `events_time` covers the keys of a listing and a filter by source. `events_minute` is in the order in which
    /// minutes are counted, so that nothing is sorted (0.7 µs per event instead of 2.4). Partial indexes hold only events that have
    /// the field. SQLite's division rounds towards zero, so before 1970 a minute is one less, unless the division is exact.
    ///
    /// Buckets of a tier are stored in the order of their keys. `buckets_dirty` is the list of marks.
    private static let version1 = """
        CREATE TABLE events (
            rowid INTEGER PRIMARY KEY,
            project TEXT NOT NULL,
            id TEXT NOT NULL,
            type TEXT NOT NULL,
            source TEXT NOT NULL,
            timestamp INTEGER NOT NULL,
            minute INTEGER NOT NULL AS (timestamp / 60000 - (timestamp % 60000 < 0)) VIRTUAL,
            clientTimestamp INTEGER,
            data TEXT,
            correlationId TEXT,
            metadata TEXT,
            userId TEXT,
            sessionId TEXT,
            receivedAt INTEGER NOT NULL,
            receipt TEXT NOT NULL,
            processedAt INTEGER NOT NULL,
            context TEXT,
            fingerprint INTEGER NOT NULL
        ) STRICT;
        CREATE UNIQUE INDEX events_id ON events (project, id);
        CREATE INDEX events_time ON events (project, timestamp, id, source);
        CREATE INDEX events_minute ON events (project, minute, type, source, timestamp);
        CREATE INDEX events_type ON events (project, type, timestamp, id);
        CREATE INDEX events_user ON events (project, userId, timestamp, id) WHERE userId IS NOT NULL;
        CREATE INDEX events_correlation ON events (project, correlationId, timestamp, id) WHERE correlationId IS NOT NULL;

        CREATE TABLE buckets (
            tier INTEGER NOT NULL,
            project TEXT NOT NULL,
            bucket INTEGER NOT NULL,
            version INTEGER NOT NULL,
            done INTEGER NOT NULL,
            dirty INTEGER NOT NULL,
            groups BLOB NOT NULL,
            PRIMARY KEY (tier, project, bucket)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX buckets_dirty ON buckets (tier, project, bucket) WHERE dirty = 1;

        CREATE TABLE days (
            project TEXT NOT NULL,
            day INTEGER NOT NULL,
            generation INTEGER NOT NULL,
            PRIMARY KEY (project, day)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE reports (
            project TEXT NOT NULL,
            request TEXT NOT NULL,
            first INTEGER NOT NULL,
            stored INTEGER NOT NULL,
            duplicates INTEGER NOT NULL,
            refused INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (project, request, first)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX reports_at ON reports (at);

        CREATE TABLE health (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            checks INTEGER NOT NULL
        ) STRICT;
        """
}

extension SQLiteStoreSchema {
    private static let version2 = """
        CREATE TABLE projects (
            project TEXT NOT NULL PRIMARY KEY,
            retentionDays INTEGER,
            changedAt INTEGER,
            closedBefore INTEGER,
            watermark INTEGER
        ) STRICT, WITHOUT ROWID;
        """

    private static let version3 = """
        CREATE TABLE attempts (
            delivery TEXT NOT NULL,
            process TEXT NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (delivery, process)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX attempts_at ON attempts (at);
        """

    /// Version 1 deleted old events without recording up to when. Finds the newest minute that counts more events than are stored: older
    /// minutes may have lost events too, newer ones have not.
    private static func raiseWatermarksAboveDeletedEvents(_ db: Database) throws {
        let rows = try Row.fetchCursor(db, sql: "SELECT project, bucket, groups FROM buckets WHERE tier = 0 ORDER BY project, bucket DESC")
        let events = try db.cachedStatement(
            sql: "SELECT count(*) FROM events INDEXED BY events_minute WHERE project = CAST(? AS TEXT) AND minute = ?")
        var done: SQLiteText?
        while let row = try rows.next() {
            let (project, minute): (SQLiteText, Int64) = (row[0], row[1])
            if let done, done.string.utf8.elementsEqual(project.string.utf8) { continue }
            let table = GroupTable(bytes: try row.withUnsafeData(atIndex: 2) { $0.map { Array($0) } ?? [] })
            let counted = try table.total()
            guard try Int64.fetchOne(events, arguments: [project, minute]) ?? 0 < counted else { continue }
            try raise(db, ["closedBefore", "watermark"], of: project, to: Timestamp(minute: minute + 1))
            done = project
        }
    }
}

extension SQLiteStoreSchema {
    /// Generations become versions of days that are still to be rolled.
    private static let version5 = """
        INSERT INTO buckets (tier, project, bucket, version, done, dirty, groups) SELECT 2, project, day, generation, 0, 1, x'' FROM days;
        DROP TABLE days;
        """

    private static let version6 = "ALTER TABLE projects ADD COLUMN timeZone TEXT;"

    private static let version7 = "ALTER TABLE events ADD COLUMN anonymousId TEXT;"

    /// Blobs have a rowid, because many are larger than a page.
    private static let version8 = """
        CREATE TABLE segments (
            project TEXT NOT NULL,
            day INTEGER NOT NULL,
            revision INTEGER NOT NULL,
            head BLOB NOT NULL,
            PRIMARY KEY (project, day)
        ) STRICT;
        CREATE TABLE segment_blobs (
            project TEXT NOT NULL,
            day INTEGER NOT NULL,
            run INTEGER NOT NULL,
            chunk INTEGER NOT NULL,
            part INTEGER NOT NULL,
            bytes BLOB NOT NULL,
            PRIMARY KEY (project, day, run, chunk, part)
        ) STRICT;
        ALTER TABLE projects ADD COLUMN properties TEXT;
        """

    /// 1 for a bot's event, otherwise null. Earlier versions did not tell bots. Counting reads `events_minute` and no rows.
    private static let version9 = """
        ALTER TABLE events ADD COLUMN bot INTEGER;
        DROP INDEX events_minute;
        CREATE INDEX events_minute ON events (project, minute, type, source, timestamp, bot);
        """

    private static let version10 = """
        ALTER TABLE events ADD COLUMN visitorId TEXT;
        ALTER TABLE projects ADD COLUMN visitorIds INTEGER;
        CREATE TABLE visitor_secrets (
            day INTEGER PRIMARY KEY,
            secret BLOB NOT NULL
        ) STRICT;
        """

    private static let version11 = """
        CREATE TABLE erasures (
            project TEXT NOT NULL,
            id TEXT NOT NULL,
            revision INTEGER NOT NULL,
            bytes BLOB NOT NULL,
            PRIMARY KEY (project, id)
        ) STRICT;
        ALTER TABLE projects ADD COLUMN erasures INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE reports ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;
        """

    /// Journals of minutes. Counts of earlier versions have no number of events.
    private static let version12 = """
        ALTER TABLE buckets ADD COLUMN events INTEGER;
        ALTER TABLE buckets ADD COLUMN causes INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE buckets ADD COLUMN journal BLOB;
        """

    /// Where the events of minutes have changed. Marks of earlier versions did not record it.
    private static let version13 = """
        ALTER TABLE buckets ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE buckets ADD COLUMN parts BLOB;
        """

    private static let version14 = """
        CREATE TABLE pipeline (
            project TEXT NOT NULL,
            minute INTEGER NOT NULL,
            writer TEXT NOT NULL,
            revision INTEGER NOT NULL,
            counts TEXT NOT NULL,
            PRIMARY KEY (project, minute, writer)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX pipeline_minute ON pipeline (minute);
        """

    /// A row in `access` closes anonymous access.
    private static let version15 = """
        ALTER TABLE projects ADD COLUMN title TEXT;
        ALTER TABLE projects ADD COLUMN createdAt INTEGER;
        ALTER TABLE projects ADD COLUMN archivedAt INTEGER;
        ALTER TABLE projects ADD COLUMN origins TEXT;
        ALTER TABLE projects ADD COLUMN requestsPerSecond INTEGER;
        ALTER TABLE projects ADD COLUMN eventsPerSecond INTEGER;
        CREATE TABLE keys (
            id TEXT NOT NULL PRIMARY KEY,
            digest BLOB NOT NULL,
            project TEXT NOT NULL,
            scope TEXT NOT NULL,
            name TEXT NOT NULL,
            prefix TEXT NOT NULL,
            maker TEXT NOT NULL,
            createdAt INTEGER NOT NULL,
            expiresAt INTEGER,
            revokedAt INTEGER,
            lastUsedAt INTEGER
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX keys_project ON keys (project, createdAt, id);
        CREATE TABLE access (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            closedAt INTEGER NOT NULL
        ) STRICT;
        """

    private static let version16 = """
        CREATE TABLE records (
            kind TEXT NOT NULL,
            id TEXT NOT NULL,
            owner TEXT NOT NULL,
            revision INTEGER NOT NULL,
            expiresAt INTEGER,
            body BLOB NOT NULL,
            PRIMARY KEY (kind, id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX records_owner ON records (kind, owner, id);
        CREATE INDEX records_expiry ON records (expiresAt) WHERE expiresAt IS NOT NULL;
        """

    /// The events of a bucket by the day of their receipt. Counting them reads `events_minute` and no rows. Buckets of earlier versions have
    /// none (``ReceivedFill``).
    private static let version17 = """
        DROP INDEX events_minute;
        CREATE INDEX events_minute ON events (project, minute, type, source, timestamp, bot, receivedAt);
        ALTER TABLE buckets ADD COLUMN received BLOB;
        """

    private static let version18 = """
        ALTER TABLE keys ADD COLUMN requestsPerSecond INTEGER;
        ALTER TABLE keys ADD COLUMN eventsPerSecond INTEGER;
        """

    /// Versions up to 2 stored at most 1,000 groups per bucket and counted the rest together, so these buckets are counted again. Until
    /// then readers skip them. Below the watermark they are skipped forever, because their events may be deleted.
    private static func markFoldedBuckets(_ db: Database) throws {
        // The minimum size of 999 groups.
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT buckets.tier, buckets.project, bucket, groups FROM buckets LEFT JOIN projects ON projects.project = buckets.project
                WHERE length(groups) > 3996 AND (tier = 1 OR watermark IS NULL OR (bucket + 1) * 60000 > watermark)
                """)
        var folded: [(tier: Int64, project: SQLiteText, bucket: Int64)] = []
        while let row = try rows.next() {
            let table = GroupTable(bytes: try row.withUnsafeData(atIndex: 3) { $0.map { Array($0) } ?? [] })
            let (tier, bucket): (Int64, Int64) = (row[0], row[2])
            guard table.isFolded else { continue }
            folded.append((tier, row[1], bucket))
            if tier == 0 { folded.append((1, row[1], Timestamp(minute: bucket).hour)) }
        }
        let mark = try db.cachedStatement(
            sql: "UPDATE buckets SET version = version + 1, dirty = 1 WHERE tier = ? AND project = CAST(? AS TEXT) AND bucket = ?")
        for bucket in folded { try mark.execute(arguments: [bucket.tier, bucket.project, bucket.bucket]) }
    }
}

extension RollupTier {
    /// The tier's number in the buckets table.
    var number: Int64 {
        switch self {
        case .minute: 0
        case .hour: 1
        case .day: 2
        }
    }
}
