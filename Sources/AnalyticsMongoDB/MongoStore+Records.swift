import Algorithms
public import AnalyticsCore

extension MongoStore {
    /// Like ``newestRecords(of:)``: a local read on the primary.
    public func record(_ kind: Record.Kind, _ id: String) async throws(StoreError) -> Record? {
        try await run(.record, on: keyPool, seesUncommitted: true) { session throws(StoreError) in
            try session.storedRecords([("_id", Key.record(kind, .string(id)))], [("readConcern", ["level": "local"])]).first
        }
    }

    public func records(_ kind: Record.Kind, of owner: String?, before id: String?, limit: Int) async throws(StoreError) -> [Record] {
        guard limit > 0 else { return [] }
        let query = RecordQuery(kind, of: owner, before: id, limit: min(limit, Record.longestList))
        return try await run(.records) { session throws(StoreError) in try session.storedRecords(query.filter, query.options) }
    }

    public func write(_ record: Record) async throws(StoreError) -> Bool {
        try record.checkValid()
        return try await run(.writeRecord) { session throws(StoreError) in
            if try session.write(record) { return true }
            // The write has waited for a majority, although it changed nothing, and this is a majority read: an equal record is durable.
            return try session.storedRecords([("_id", Key.record(record.kind, .string(record.id)))], []).first == record
        }
    }

    public func removeRecords(_ kind: Record.Kind, _ ids: [String]) async throws(StoreError) {
        guard !ids.isEmpty else { return }
        try await run(.removeRecords) { session throws(StoreError) in
            for chunk in ids.chunks(ofCount: 1_000) {
                _ = try session.removeRecords(chunk.map { Key.record(kind, .string($0)) }, where: [])
            }
        }
    }

    public func removeExpiredRecords(at time: Timestamp, limit: Int) async throws(StoreError) -> Int {
        guard limit > 0 else { return 0 }
        let query = RecordQuery(expiredAt: time, limit: min(limit, Record.longestList))
        return try await run(.removeExpiredRecords) { session throws(StoreError) in
            var ids: [BSON] = []
            try session.find(.records, query.filter, query.options) { row in
                guard let key = row["_id"]?.document, let kind = key["kind"]?.string.flatMap({ Record.Kind(rawValue: $0) }),
                    let id = key["id"]?.string
                else { return }
                ids.append(Key.record(kind, .string(id)))
            }
            // The condition once more: a record's time may have been raised meanwhile.
            return try ids.isEmpty ? 0 : session.removeRecords(ids, where: query.filter)
        }
    }
}

/// Which records are read, and in what order.
struct RecordQuery: Sendable {
    var filter: [(String, BSON)]
    var options: [(String, BSON)]

    init(_ kind: Record.Kind, of owner: String?, before id: String?, limit: Int) {
        if let owner {
            filter = [("_id.kind", .string(kind.rawValue)), ("owner", .string(owner))]
            if let id { filter.append(("_id.id", ["$lt": .string(id)])) }
            options = [("sort", ["_id.id": -1]), ("hint", .string(Index.byOwner))]
        } else {
            // In BSON, a document sorts after every string.
            let end = id.map(BSON.string) ?? .document([])
            filter = [("_id", ["$gte": Key.record(kind, ""), "$lt": Key.record(kind, end)])]
            options = [("sort", ["_id": -1])]
        }
        options.append(("limit", .integer(Int64(limit))))
    }

    init(expiredAt time: Timestamp, limit: Int) {
        filter = [("expiresAt", ["$lte": .date(time)])]
        options = [
            ("sort", ["expiresAt": 1]), ("hint", .string(Index.byExpiry)), ("projection", ["_id": 1]), ("limit", .integer(Int64(limit))),
        ]
    }
}

extension Session {
    fileprivate func storedRecords(_ filter: [(String, BSON)], _ options: [(String, BSON)]) throws(StoreError) -> [Record] {
        var records: [Record] = []
        try find(.records, filter, options) { row throws(StoreError) in
            guard let record = Record(row) else { throw damage(.records) }
            records.append(record)
        }
        return records
    }

    /// False if the stored record has another revision than the one before.
    fileprivate func write(_ record: Record) throws(StoreError) -> Bool {
        let id: (String, BSON) = ("_id", Key.record(record.kind, .string(record.id)))
        guard record.revision > 1 else { return try insert(.records, [id] + record.fields) }
        let filter = try encode([id, ("revision", .integer(record.revision - 1))])
        var operators: [(String, BSON)] = [("$set", .document(record.fields))]
        if record.expiresAt == nil { operators.append(("$unset", ["expiresAt": ""])) }
        let update = try encode(operators)
        let reply = try bulk(.records) { bulk throws(StoreError) in try bulk.updateMany(filter, update) }
        if let error = reply.writeErrors.first?.error { throw error.storeError(in: operation) }
        return reply.matched == 1
    }

    fileprivate func removeRecords(_ ids: [BSON], where condition: [(String, BSON)]) throws(StoreError) -> Int {
        let reply = try bulk(.records) { bulk throws(StoreError) in
            try bulk.removeMany(encode([("_id", ["$in": .array(ids)])] + condition))
        }
        if let error = reply.writeErrors.first?.error { throw error.storeError(in: operation) }
        return Int(reply.removed)
    }
}

extension Record {
    fileprivate var fields: [(String, BSON)] {
        var fields: [(String, BSON)] = [("owner", .string(owner)), ("revision", .integer(revision)), ("body", .binary(body))]
        if let expiresAt { fields.append(("expiresAt", .date(expiresAt))) }
        return fields
    }

    /// `nil` for a document that this adapter did not write.
    init?(_ row: BSONView) {
        var fields: [String: BSONElement] = [:]
        guard row.each({ fields[$0.key] = $0 }), let key = fields["_id"]?.document,
            let kind = key["kind"]?.string.flatMap({ Kind(rawValue: $0) }), let id = key["id"]?.string,
            let owner = fields["owner"]?.string, let revision = fields["revision"]?.integer, let body = fields["body"]?.binary
        else { return nil }
        let expiresAt = fields["expiresAt"]?.date
        guard fields["expiresAt"] == nil || expiresAt != nil else { return nil }
        self.init(kind: kind, id: id, owner: owner, revision: revision, expiresAt: expiresAt, body: body)
        guard isValid else { return nil }
    }
}
