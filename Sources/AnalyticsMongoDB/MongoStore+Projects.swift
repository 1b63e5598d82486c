public import AnalyticsCore

extension MongoStore {
    public func projectRecords() async throws(StoreError) -> [ProjectRecord] {
        try await run(.projectRecords) { session throws(StoreError) in try session.records([], []) }
    }

    /// A local read on the primary. A new primary has all majority-committed data of its predecessors before it knows that the data is
    /// majority-committed, so a majority read right after an election might miss the newest records.
    public func newestRecords(of projects: [ProjectID]) async throws(StoreError) -> [ProjectRecord] {
        guard !projects.isEmpty else { return [] }
        return try await run(.newestRecords, seesUncommitted: true) { session throws(StoreError) in
            let ids = BSON.array(projects.map { .string($0.name) })
            return try session.records([("_id", ["$in": ids])], [("readConcern", ["level": "local"])])
        }
    }

    public func createRecord(of project: ProjectID, retentionDays: Int, at time: Timestamp) async throws(StoreError) {
        try await setRetention(.createRecord, project, retentionDays, time, where: [("retentionDays", ["$exists": false])])
    }

    public func setRetention(of project: ProjectID, days: Int, at time: Timestamp) async throws(StoreError) {
        try await setRetention(.setRetention, project, days, time, where: [])
    }

    private func setRetention(
        _ operation: StoreOperation, _ project: ProjectID, _ days: Int, _ time: Timestamp, where condition: [(String, BSON)]
    ) async throws(StoreError) {
        try await run(operation) { session throws(StoreError) in
            let update: [(String, BSON)] = [("$set", ["retentionDays": .integer(Int64(days)), "changedAt": .date(time)])]
            try session.updateRecord(of: project, where: condition, update, mustMatch: condition.isEmpty)
        }
    }

    public func setTimeZone(of project: ProjectID, to zone: ZoneName) async throws(StoreError) {
        try await run(.setTimeZone) { session throws(StoreError) in
            try session.updateRecord(of: project, [("$set", ["timeZone": .string(zone.text)])])
        }
    }

    public func setProperties(of project: ProjectID, to paths: [PropertyPath]) async throws(StoreError) {
        try await run(.setProperties) { session throws(StoreError) in
            let texts = BSON.array(paths.map { .string($0.text) })
            try session.updateRecord(of: project, [("$set", ["properties": texts])])
        }
    }

    public func setVisitorIds(of project: ProjectID, to isOn: Bool) async throws(StoreError) {
        try await run(.setVisitorIds) { session throws(StoreError) in
            try session.updateRecord(of: project, [("$set", ["visitorIds": .boolean(isOn)])])
        }
    }

    public func createProject(_ project: ProjectID, at time: Timestamp) async throws(StoreError) -> Bool {
        try await run(.createProject) { session throws(StoreError) in
            try session.insert(.projects, [("_id", .string(project.name)), ("createdAt", .date(time))])
        }
    }

    public func setTitle(of project: ProjectID, to title: String) async throws(StoreError) {
        try await set(.setTitle, of: project, [("title", .string(title))])
    }

    public func setArchived(of project: ProjectID, at time: Timestamp?) async throws(StoreError) {
        try await set(.setArchived, of: project, [("archivedAt", time.map(BSON.date))])
    }

    public func setOrigins(of project: ProjectID, to origins: [String]) async throws(StoreError) {
        try await set(.setOrigins, of: project, [("origins", .array(origins.map(BSON.string)))])
    }

    public func setRates(of project: ProjectID, to rates: ProjectRates) async throws(StoreError) {
        let fields = [("requestsPerSecond", rates.requestsPerSecond), ("eventsPerSecond", rates.eventsPerSecond)]
        try await set(.setRates, of: project, fields.map { name, rate in (name, rate.map { BSON.integer(Int64($0)) }) })
    }

    /// Writes fields of a project's record, removes those without a value, and creates the record if it is missing.
    private func set(_ operation: StoreOperation, of project: ProjectID, _ fields: [(String, BSON?)]) async throws(StoreError) {
        var (written, removed): ([(String, BSON)], [(String, BSON)]) = ([], [])
        for (name, value) in fields {
            if let value { written.append((name, value)) } else { removed.append((name, "")) }
        }
        let update = [("$set", written), ("$unset", removed)].filter { !$0.1.isEmpty }.map { ($0.0, BSON.document($0.1)) }
        try await run(operation) { session throws(StoreError) in try session.updateRecord(of: project, update) }
    }

    public func close(_ project: ProjectID, before time: Timestamp) async throws(StoreError) {
        try await run(.close) { session throws(StoreError) in
            try session.updateRecord(of: project, [("$max", ["closedBefore": .date(time)])])
        }
    }

    public func raiseWatermark(of project: ProjectID, to time: Timestamp) async throws(StoreError) {
        try await run(.raiseWatermark) { session throws(StoreError) in
            try session.updateRecord(of: project, [("$max", ["closedBefore": .date(time), "watermark": .date(time)])])
        }
    }

    /// The watermark comes from a majority read, so no failover can lower it: events below it may be deleted.
    public func deleteExpiredEvents(of project: ProjectID, limit: Int) async throws(StoreError) -> Int {
        try await run(.deleteExpired) { session throws(StoreError) in
            guard let watermark = try session.records([("_id", .string(project.name))], []).first?.watermark else { return 0 }
            var ids: [BSON] = []
            let filter: [(String, BSON)] = [("_id.project", .string(project.name)), ("timestamp", ["$lt": .date(watermark)])]
            let options: [(String, BSON)] = [
                ("sort", ["timestamp": 1, "_id.id": 1]), ("limit", .integer(Int64(limit))), ("hint", .string(Index.byTime)),
                ("projection", ["_id.id": 1]),
            ]
            try session.find(.events, filter, options) { row in
                if let id = row["_id"]?.document?["id"]?.string { ids.append(Key.event(project, id)) }
            }
            guard !ids.isEmpty else { return 0 }
            let reply = try session.bulk(.events) { bulk throws(StoreError) in
                try bulk.removeMany(session.encode([("_id", ["$in": .array(ids)])]))
            }
            if let error = reply.writeErrors.first?.error { throw error.storeError(in: session.operation) }
            return Int(reply.removed)
        }
    }
}

extension Session {
    fileprivate func records(_ filter: [(String, BSON)], _ options: [(String, BSON)]) throws(StoreError) -> [ProjectRecord] {
        var records: [ProjectRecord] = []
        try find(.projects, filter, options) { row throws(StoreError) in
            guard let record = ProjectRecord(row) else { throw damage(.projects) }
            records.append(record)
        }
        return records
    }

    /// Inserts the record if it is missing, then updates it. Two statements: an upsert with a condition besides `_id` would fail on an
    /// existing record that does not meet the condition.
    func updateRecord(
        of project: ProjectID, where condition: [(String, BSON)] = [], _ update: [(String, BSON)], mustMatch: Bool = true
    ) throws(StoreError) {
        _ = try insert(.projects, [("_id", .string(project.name))])
        let filter = try encode([("_id", .string(project.name))] + condition)
        let update = try encode(update)
        let reply = try bulk(.projects) { bulk throws(StoreError) in try bulk.updateMany(filter, update) }
        if let error = reply.writeErrors.first?.error { throw error.storeError(in: operation) }
        // A record of another writer's insert may have been rolled back.
        guard reply.matched == 1 || !mustMatch else { throw StoreError(.unavailable, operation: operation, "the record is gone") }
    }

    /// False if a document has this `_id`; it is kept.
    func insert(_ collection: CollectionName, _ fields: [(String, BSON)]) throws(StoreError) -> Bool {
        let reply = try bulk(collection) { bulk throws(StoreError) in try bulk.insert(encode(fields)) }
        if let failure = reply.writeErrors.first(where: { !$0.isTakenId }) { throw failure.error.storeError(in: operation) }
        return reply.inserted == 1
    }
}

extension ProjectRecord {
    /// `nil` for a document that this adapter did not write.
    fileprivate init?(_ row: BSONView) {
        var fields: [String: BSONElement] = [:]
        guard row.each({ fields[$0.key] = $0 }), let project = fields["_id"]?.string.flatMap({ ProjectID($0) }) else { return nil }
        let moments = ["changedAt", "closedBefore", "watermark", "createdAt", "archivedAt"].map { fields[$0] }
        guard moments.allSatisfy({ $0 == nil || $0?.date != nil }) else { return nil }
        let numbers = ["retentionDays", "erasures", "requestsPerSecond", "eventsPerSecond"].map { fields[$0] }
        guard numbers.allSatisfy({ $0 == nil || $0?.integer != nil }) else { return nil }
        let zone = fields["timeZone"]?.string.flatMap(ZoneName.init)
        guard fields["timeZone"] == nil || zone != nil else { return nil }
        var properties: [PropertyPath] = []
        if let field = fields["properties"] {
            guard let texts = field.document?.all(\.string) else { return nil }
            properties = texts.compactMap { try? PropertyPath($0) }
            guard properties.count == texts.count else { return nil }
        }
        guard fields["visitorIds"] == nil || fields["visitorIds"]?.boolean != nil else { return nil }
        guard fields["title"] == nil || fields["title"]?.string != nil else { return nil }
        var origins: [String]? = []
        if let field = fields["origins"] { origins = field.document?.all(\.string) }
        guard let origins else { return nil }
        self.init(
            project: project, retentionDays: numbers[0]?.integer.map { Int($0) }, changedAt: moments[0]?.date,
            closedBefore: moments[1]?.date, watermark: moments[2]?.date, timeZone: zone, properties: properties,
            hasVisitorIds: fields["visitorIds"]?.boolean ?? false, erasures: numbers[1]?.integer ?? 0, title: fields["title"]?.string,
            createdAt: moments[3]?.date, archivedAt: moments[4]?.date, origins: origins,
            rates: ProjectRates(
                requestsPerSecond: numbers[2]?.integer.map { Int($0) }, eventsPerSecond: numbers[3]?.integer.map { Int($0) }))
        guard isValid else { return nil }
    }
}
