public import AnalyticsCore
import GRDB

extension SQLiteStore {
    /// How long a report is kept, measured by the times of later reports.
    private static let kept = Duration.seconds(600)

    public func add(_ reports: [DeliveryReport]) async throws(StoreError) {
        guard let newest = reports.map(\.at).max() else { return }
        try await write(.addReports) { db in
            let insertion = try db.cachedStatement(
                sql: """
                    INSERT INTO reports (project, request, first, stored, duplicates, refused, erased, at)
                    VALUES (CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                    """)
            for report in reports {
                try insertion.execute(arguments: [
                    SQLiteText(report.project.name), SQLiteText(report.request), report.first, report.stored, report.duplicates,
                    report.refused, report.erased, report.at.milliseconds,
                ])
            }
            try db.cachedStatement(sql: "DELETE FROM reports WHERE at < ?").execute(arguments: [(newest - Self.kept).milliseconds])
        }
    }

    public func reports(project: ProjectID, request: String) async throws(StoreError) -> [DeliveryReport] {
        try await read(.reports) { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT first, stored, duplicates, refused, erased, at FROM reports
                    WHERE project = CAST(? AS TEXT) AND request = CAST(? AS TEXT) ORDER BY first
                    """)
            var reports: [DeliveryReport] = []
            let rows = try Row.fetchCursor(statement, arguments: [SQLiteText(project.name), SQLiteText(request)])
            while let row = try rows.next() {
                reports.append(
                    DeliveryReport(
                        project: project, request: request, first: row[0], stored: row[1], duplicates: row[2], refused: row[3],
                        erased: row[4], at: Timestamp(milliseconds: row[5])))
            }
            return reports
        }
    }
}
