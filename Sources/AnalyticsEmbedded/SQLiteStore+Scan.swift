public import AnalyticsCore
import AnalyticsJSON
import Foundation
import GRDB

extension SQLiteStore {
    public func scanEvents<Reducer: EventScanReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], reading paths: [PropertyPath], into reducer: Reducer
    ) async throws(StoreError) -> Reducer {
        try await read(.scanEvents) { db in
            var reducer = reducer
            let row = ScanRow(selection, paths)
            let walks = try SQLiteSelection(selection).queries(row.columns).map { try ScanWalk(db, $0, row) }
            for range in ranges.inOrderAndMerged() {
                for walk in walks { try walk.begin(range) }
                while let first = Self.first(walks), let event = first.event {
                    guard reducer.add(event) else { return reducer }
                    try first.advance()
                }
            }
            return reducer
        }
    }

    /// The walk whose event is first of all; `nil` if all walks are at their ends.
    private static func first(_ walks: [ScanWalk]) -> ScanWalk? {
        var first: (walk: ScanWalk, event: ScannedEvent)?
        for walk in walks {
            guard let event = walk.event else { continue }
            if let least = first?.event, !precedes(event, least) { continue }
            first = (walk, event)
        }
        return first?.walk
    }

    private static func precedes(_ a: ScannedEvent, _ b: ScannedEvent) -> Bool {
        if a.timestamp != b.timestamp { return a.timestamp < b.timestamp }
        return a.id.utf8.lexicographicallyPrecedes(b.id.utf8)
    }
}

/// One index scan, range after range, and its current event.
private final class ScanWalk {
    private let statement: Statement
    private let arguments: StatementArguments
    private let row: ScanRow
    private var rows: RowCursor?
    private(set) var event: ScannedEvent?

    init(_ db: Database, _ query: SQLiteSelection.Query, _ row: ScanRow) throws {
        // Not cached: the number of different statements is unbounded.
        statement = try db.makeStatement(sql: query.sql + " AND timestamp >= ? AND timestamp < ? ORDER BY timestamp, id")
        arguments = StatementArguments(query.arguments)
        self.row = row
    }

    func begin(_ range: Range<Timestamp>) throws {
        rows = nil
        rows = try Row.fetchCursor(
            statement, arguments: arguments + [range.lowerBound.milliseconds, range.upperBound.milliseconds])
        try advance()
    }

    func advance() throws {
        event = nil
        while event == nil, let next = try rows?.next() { event = try row.event(next) }
    }
}

/// Turns a row into an event, if the conditions on its data hold.
private struct ScanRow {
    private let matcher: DataMatcher
    private let properties: PropertyReader

    init(_ selection: Selection, _ paths: [PropertyPath]) {
        matcher = DataMatcher(selection.data)
        properties = PropertyReader(paths)
    }

    /// Unneeded texts are not fetched: long ones are on overflow pages.
    var columns: String {
        let data = matcher.isEmpty && !properties.needs(.data) ? "NULL" : "data"
        return
            "timestamp, id, type, source, userId, anonymousId, sessionId, visitorId, \(data), \(properties.needs(.context) ? "context" : "NULL")"
    }

    func event(_ row: Row) throws -> ScannedEvent? {
        let data = try Self.bytes(row, 8)
        guard try matcher.matches(json: data) else { return nil }
        let values: [[JSONScalar]]
        do {
            values = try properties.values { root in root == .data ? data : try Self.bytes(row, 9) }
        } catch let fault as JSONFault where fault.code != .memory {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "an event's data or context is not JSON")
        }
        return ScannedEvent(
            timestamp: Timestamp(milliseconds: row[0]), id: EventRow.text(row, 1), type: EventRow.text(row, 2),
            source: EventRow.text(row, 3), userId: EventRow.textIfAny(row, 4), anonymousId: EventRow.textIfAny(row, 5),
            visitorId: EventRow.textIfAny(row, 7), sessionId: EventRow.textIfAny(row, 6), values: values)
    }

    private static func bytes(_ row: Row, _ index: Int) throws -> PaddedBytes? {
        try row.withUnsafeData(atIndex: index) { data in
            data?.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) -> PaddedBytes in
                var text = PaddedBytes(reservingCapacity: bytes.count)
                text.append(bytes)
                return text
            }
        }
    }
}
