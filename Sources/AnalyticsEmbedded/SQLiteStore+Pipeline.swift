public import AnalyticsCore
import GRDB

extension SQLiteStore {
    public func write(_ cells: [PipelineCell]) async throws(StoreError) {
        guard !cells.isEmpty else { return }
        try await write(.writePipeline) { db in
            let upsert = try db.cachedStatement(
                sql: """
                    INSERT INTO pipeline (project, minute, writer, revision, counts) VALUES (CAST(? AS TEXT), ?, CAST(? AS TEXT), ?, ?)
                    ON CONFLICT DO UPDATE SET revision = excluded.revision, counts = excluded.counts WHERE excluded.revision > revision
                    """)
            for cell in cells {
                try upsert.execute(arguments: [
                    SQLiteText(cell.project.name), cell.minute, SQLiteText(cell.writer), cell.revision, PipelineText.text(cell.counts),
                ])
            }
            try db.cachedStatement(sql: "DELETE FROM pipeline WHERE minute < unixepoch() / 60 - ?1 OR minute > unixepoch() / 60 + ?1")
                .execute(arguments: [Int64(PipelineCell.kept.seconds) / 60])
        }
    }

    public func pipelineCells(of project: ProjectID, minutes: Range<Int64>) async throws(StoreError) -> [PipelineCell] {
        try await read(.pipelineCells) { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT minute, writer, revision, counts FROM pipeline
                    WHERE project = CAST(? AS TEXT) AND minute >= ? AND minute < ? ORDER BY minute, writer
                    """)
            var cells: [PipelineCell] = []
            let rows = try Row.fetchCursor(
                statement, arguments: [SQLiteText(project.name), minutes.lowerBound, minutes.upperBound])
            while let row = try rows.next() {
                guard let counts = PipelineText.counts((row[3] as SQLiteText).string) else {
                    throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "counts of the pipeline cannot be read")
                }
                cells.append(
                    PipelineCell(
                        project: project, minute: row[0], writer: (row[1] as SQLiteText).string, revision: row[2], counts: counts))
            }
            return cells
        }
    }
}

/// Counts as readable text: `accepted=3 stored=2`.
private enum PipelineText {
    static func text(_ counts: PipelineCounts) -> String { counts.fields.map { "\($0.name)=\($0.value)" }.joined(separator: " ") }

    static func counts(_ text: String) -> PipelineCounts? {
        var fields: [(name: String, value: Int64)] = []
        for word in text.splitUTF8(" ") {
            let parts = word.splitUTF8("=")
            guard parts.count == 2, let value = Int64(parts[1]) else { return nil }
            fields.append((String(parts[0]), value))
        }
        return PipelineCounts(fields: fields)
    }
}
