import Algorithms
public import AnalyticsCore

extension MongoStore {
    /// In `meta`. The document alone closes anonymous access, whatever it contains.
    private static let latch: (String, BSON) = ("_id", "anonymousAccessClosed")

    public func createKey(_ key: StoredKey) async throws(StoreError) {
        try await run(.createKey) { session throws(StoreError) in
            try Self.closeAnonymousAccess(session, at: key.createdAt)
            _ = try session.insert(.keys, key.document)
        }
    }

    /// Like ``newestRecords(of:)``: a local read on the primary.
    public func key(_ id: String) async throws(StoreError) -> StoredKey? {
        try await run(.key, on: keyPool, seesUncommitted: true) { session throws(StoreError) in
            try session.storedKeys([("_id", .string(id))], [("readConcern", ["level": "local"])]).first
        }
    }

    public func keys(of project: ProjectID?) async throws(StoreError) -> [StoredKey] {
        try await run(.keys) { session throws(StoreError) in
            let filter: [(String, BSON)] = project.map { [("project", .string($0.name))] } ?? []
            return try session.storedKeys(filter, [("sort", ["createdAt": 1, "_id": 1])])
        }
    }

    public func revokeKey(_ id: String, at time: Timestamp) async throws(StoreError) {
        try await updateKeys(.revokeKey, [id: time], "$set", "revokedAt", where: [("revokedAt", ["$exists": false])])
    }

    public func expireKey(_ id: String, at time: Timestamp) async throws(StoreError) {
        try await updateKeys(.expireKey, [id: time], "$min", "expiresAt")
    }

    public func removeKeys(_ ids: [String]) async throws(StoreError) {
        guard !ids.isEmpty else { return }
        try await run(.removeKeys) { session throws(StoreError) in
            for chunk in ids.chunks(ofCount: 1_000) {
                let reply = try session.bulk(.keys) { bulk throws(StoreError) in
                    try bulk.removeMany(session.encode([("_id", ["$in": .array(chunk.map { .string($0) })])]))
                }
                if let error = reply.writeErrors.first?.error { throw error.storeError(in: session.operation) }
            }
        }
    }

    public func recordKeyUses(_ uses: [String: Timestamp]) async throws(StoreError) {
        try await updateKeys(.recordKeyUses, uses, "$max", "lastUsedAt")
    }

    public func closeAnonymousAccess(at time: Timestamp) async throws(StoreError) {
        try await run(.closeAnonymousAccess) { session throws(StoreError) in try Self.closeAnonymousAccess(session, at: time) }
    }

    private static func closeAnonymousAccess(_ session: Session, at time: Timestamp) throws(StoreError) {
        _ = try session.insert(.meta, [latch, ("at", .date(time))])
    }

    /// Like ``newestRecords(of:)``: a local read on the primary.
    public func isAnonymousAccessClosed() async throws(StoreError) -> Bool {
        try await run(.anonymousAccess, on: keyPool, seesUncommitted: true) { session throws(StoreError) in
            var isClosed = false
            try session.find(.meta, [Self.latch], [("readConcern", ["level": "local"])]) { _ in isClosed = true }
            return isClosed
        }
    }

    private func updateKeys(
        _ operation: StoreOperation, _ times: [String: Timestamp], _ update: String, _ field: String, where condition: [(String, BSON)] = []
    ) async throws(StoreError) {
        guard !times.isEmpty else { return }
        try await run(operation) { session throws(StoreError) in
            for chunk in Array(times).chunks(ofCount: 1_000) {
                let reply = try session.bulk(.keys) { bulk throws(StoreError) in
                    for (id, time) in chunk {
                        try bulk.updateMany(
                            session.encode([("_id", .string(id))] + condition),
                            session.encode([(update, .document([(field, .date(time))]))]))
                    }
                }
                if let error = reply.writeErrors.first?.error { throw error.storeError(in: session.operation) }
            }
        }
    }
}

extension Session {
    fileprivate func storedKeys(_ filter: [(String, BSON)], _ options: [(String, BSON)]) throws(StoreError) -> [StoredKey] {
        var keys: [StoredKey] = []
        try find(.keys, filter, options) { row throws(StoreError) in
            guard let key = StoredKey(row) else { throw damage(.keys) }
            keys.append(key)
        }
        return keys
    }
}

extension StoredKey {
    fileprivate var document: [(String, BSON)] {
        var fields: [(String, BSON)] = [
            ("_id", .string(id)), ("digest", .binary(digest.bytes)), ("project", .string(project.name)), ("scope", .string(scope.rawValue)),
            ("name", .string(name)), ("prefix", .string(prefix)), ("maker", .string(maker)), ("createdAt", .date(createdAt)),
        ]
        for (field, time) in [("expiresAt", expiresAt), ("revokedAt", revokedAt), ("lastUsedAt", lastUsedAt)] {
            if let time { fields.append((field, .date(time))) }
        }
        for (field, rate) in [("requestsPerSecond", rates.requestsPerSecond), ("eventsPerSecond", rates.eventsPerSecond)] {
            if let rate { fields.append((field, .integer(Int64(rate)))) }
        }
        return fields
    }

    /// `nil` for a document that this adapter did not write.
    fileprivate init?(_ row: BSONView) {
        var fields: [String: BSONElement] = [:]
        guard row.each({ fields[$0.key] = $0 }), let digest = fields["digest"]?.binary.flatMap({ KeyDigest(bytes: $0) }),
            let project = fields["project"]?.string.flatMap({ ProjectID($0) }),
            let scope = fields["scope"]?.string.flatMap({ Scope(rawValue: $0) }), let name = fields["name"]?.string,
            let prefix = fields["prefix"]?.string, let maker = fields["maker"]?.string, let createdAt = fields["createdAt"]?.date
        else { return nil }
        let times = ["expiresAt", "revokedAt", "lastUsedAt"].map { fields[$0] }
        guard times.allSatisfy({ $0 == nil || $0?.date != nil }) else { return nil }
        let rates = ["requestsPerSecond", "eventsPerSecond"].map { fields[$0] }
        guard rates.allSatisfy({ $0 == nil || $0?.integer != nil }) else { return nil }
        self.init(
            digest: digest, project: project, scope: scope, name: name, prefix: prefix, maker: maker,
            rates: ProjectRates(
                requestsPerSecond: rates[0]?.integer.map { Int($0) }, eventsPerSecond: rates[1]?.integer.map { Int($0) }),
            createdAt: createdAt, expiresAt: times[0]?.date, revokedAt: times[1]?.date, lastUsedAt: times[2]?.date)
        guard isValid, fields["_id"]?.string?.equalsUTF8(id) == true else { return nil }
    }
}
