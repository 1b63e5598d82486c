public import AnalyticsCore
import AnalyticsJSON
import Foundation
import GRDB

extension SQLiteStore {
    /// All events in one transaction: one sync per call.
    public func insert(_ events: [StoredEvent]) async throws(StoreError) -> [InsertOutcome] {
        guard !events.isEmpty else { return [] }
        return try await write(.insert) { db in
            var insertion = try db.cachedStatement(sql: EventRow.insertion)
            let taken = try db.cachedStatement(
                sql: "SELECT receipt, fingerprint, timestamp FROM events WHERE project = CAST(? AS TEXT) AND id = CAST(? AS TEXT)")
            return try events.map { stored in
                do {
                    try insertion.execute(arguments: EventRow.arguments(stored))
                } catch let error as DatabaseError where Self.blamesRow(error) {
                    // A failed statement cannot be reused; GRDB has removed it from its cache.
                    insertion = try db.cachedStatement(sql: EventRow.insertion)
                    return .refused(error.description)
                }
                if db.changesCount == 1 { return .stored }
                let outcome = try taken.first([SQLiteText(stored.event.project.name), SQLiteText(stored.event.id)]) { row in
                    Self.outcome(for: stored, ingestID: row[0], fingerprint: row[1], heldAt: Timestamp(milliseconds: row[2]))
                }
                guard let outcome else { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the event of a taken id is missing") }
                return outcome
            }
        }
    }

    /// Whether SQLite refused the row itself. These errors undo the statement and leave the transaction open
    /// (https://www.sqlite.org/lang_transaction.html, "Response To Errors Within A Transaction").
    private static func blamesRow(_ error: DatabaseError) -> Bool {
        [.SQLITE_TOOBIG, .SQLITE_CONSTRAINT, .SQLITE_MISMATCH].contains(error.resultCode)
    }

    /// The outcome for an event whose id is taken by an event with this ingest id, fingerprint and timestamp.
    private static func outcome(
        for stored: StoredEvent, ingestID: SQLiteText, fingerprint: Int64, heldAt: Timestamp
    ) -> InsertOutcome {
        if ingestID.string.utf8.elementsEqual(stored.event.ingestID.utf8) { return .redelivered }
        return fingerprint == stored.fingerprint ? .duplicate(heldAt: heldAt) : .conflict(heldAt: heldAt)
    }

    public func event(project: ProjectID, id: String) async throws(StoreError) -> StoredEvent? {
        try await read(.event) { db in
            let statement = try db.cachedStatement(
                sql: "SELECT \(EventRow.columns) FROM events WHERE project = CAST(? AS TEXT) AND id = CAST(? AS TEXT)")
            return try statement.first([SQLiteText(project.name), SQLiteText(id)], EventRow.event)
        }
    }
}

/// An event as a row of `events`.
enum EventRow {
    static let columns = """
        project, id, type, source, timestamp, clientTimestamp, data, correlationId, metadata, userId, anonymousId, sessionId, receivedAt, receipt, \
        processedAt, context, fingerprint, visitorId
        """

    /// Inserts nothing if the id is taken; then `changes()` is 0.
    static let insertion = """
        INSERT INTO events (\(columns), bot) VALUES (CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, \
        CAST(? AS TEXT), ?, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT), ?) ON CONFLICT (project, id) DO NOTHING
        """

    static func arguments(_ stored: StoredEvent) -> StatementArguments {
        let event = stored.event
        return [
            SQLiteText(event.project.name), SQLiteText(event.id), SQLiteText(event.type), SQLiteText(event.source),
            event.timestamp.milliseconds, event.clientTimestamp?.milliseconds, event.data?.text, event.correlationId.map(SQLiteText.init),
            event.metadata?.text, event.userId.map(SQLiteText.init), event.anonymousId.map(SQLiteText.init),
            event.sessionId.map(SQLiteText.init),
            event.receivedAt.milliseconds, SQLiteText(event.ingestID), stored.processedAt.milliseconds, stored.context?.text,
            stored.fingerprint, event.visitorId.map(SQLiteText.init), stored.isBot ? 1 : nil,
        ]
    }

    /// Reads a row of ``columns``. The row must be a cursor's.
    static func event(_ row: Row) throws -> StoredEvent {
        try StoredEvent(
            event: Event(
                project: (row[0] as SQLiteText).project(), id: text(row, 1), type: text(row, 2), source: text(row, 3),
                timestamp: Timestamp(milliseconds: row[4]), clientTimestamp: (row[5] as Int64?).map(Timestamp.init(milliseconds:)),
                data: json(row, 6), correlationId: textIfAny(row, 7), metadata: json(row, 8), userId: textIfAny(row, 9),
                anonymousId: textIfAny(row, 10), visitorId: textIfAny(row, 17), sessionId: textIfAny(row, 11),
                receivedAt: Timestamp(milliseconds: row[12]),
                ingestID: text(row, 13)
            ),
            processedAt: Timestamp(milliseconds: row[14]), context: json(row, 15), fingerprint: row[16]
        )
    }

    static func text(_ row: Row, _ index: Int) -> String { (row[index] as SQLiteText).string }
    static func textIfAny(_ row: Row, _ index: Int) -> String? { (row[index] as SQLiteText?)?.string }
    private static func json(_ row: Row, _ index: Int) -> JSONText? { (row[index] as String?).map(JSONText.init(normalised:)) }
}
