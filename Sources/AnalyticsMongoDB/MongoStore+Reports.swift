public import AnalyticsCore

extension MongoStore {
    public func add(_ reports: [DeliveryReport]) async throws(StoreError) {
        guard !reports.isEmpty else { return }
        try await run(.addReports) { session throws(StoreError) in
            let reply = try session.bulk(.reports) { bulk throws(StoreError) in
                for report in reports { try bulk.insert(session.encode(report.document)) }
            }
            if let error = reply.writeErrors.first(where: { !$0.isTakenId })?.error { throw error.storeError(in: session.operation) }
        }
    }

    public func reports(project: ProjectID, request: String) async throws(StoreError) -> [DeliveryReport] {
        try await run(.reports) { session throws(StoreError) in
            var reports: [DeliveryReport] = []
            let all: BSON = ["$gte": Key.report(project, request, .integer(.min)), "$lte": Key.report(project, request, .integer(.max))]
            try session.find(.reports, [("_id", all)], [("sort", ["_id": 1])]) { row in
                if let report = DeliveryReport(row, project: project, request: request) { reports.append(report) }
            }
            return reports
        }
    }
}

extension DeliveryReport {
    fileprivate var document: [(String, BSON)] {
        [
            ("_id", Key.report(project, request, .integer(Int64(first)))), ("stored", .integer(Int64(stored))),
            ("duplicates", .integer(Int64(duplicates))), ("refused", .integer(Int64(refused))), ("erased", .integer(Int64(erased))),
            ("at", .date(at)),
        ]
    }

    fileprivate init?(_ row: BSONView, project: ProjectID, request: String) {
        guard let first = row["_id"]?.document?["first"]?.integer, let stored = row["stored"]?.integer,
            let duplicates = row["duplicates"]?.integer, let refused = row["refused"]?.integer, let at = row["at"]?.date
        else { return nil }
        self.init(
            project: project, request: request, first: Int(first), stored: Int(stored), duplicates: Int(duplicates), refused: Int(refused),
            erased: Int(row["erased"]?.integer ?? 0), at: at)
    }
}
