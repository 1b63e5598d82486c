import Algorithms
public import AnalyticsCore

extension MongoStore {
    public func erasures(of project: ProjectID) async throws(StoreError) -> [StoredErasure] {
        try await run(.erasures) { session throws(StoreError) in try session.erasures(of: project, []) }
    }

    /// Like ``newestRecords(of:)``: a local read on the primary.
    public func newestErasures(of project: ProjectID) async throws(StoreError) -> [StoredErasure] {
        try await run(.newestErasures, seesUncommitted: true) { session throws(StoreError) in
            try session.erasures(of: project, [("readConcern", ["level": "local"])])
        }
    }

    public func writeErasure(_ erasure: StoredErasure, replacing revision: Int64) async throws(StoreError) -> Bool {
        try await run(.writeErasure) { session throws(StoreError) in
            let id = Key.erasure(erasure.project, .string(erasure.id))
            let fields: [(String, BSON)] = [("revision", .integer(erasure.revision)), ("bytes", .binary(erasure.bytes))]
            let reply = try session.bulk(.erasures) { bulk throws(StoreError) in
                if revision == 0 {
                    try bulk.insert(session.encode([("_id", id)] + fields))
                } else {
                    try bulk.updateMany(
                        session.encode([("_id", id), ("revision", .integer(revision))]), session.encode([("$set", .document(fields))]))
                }
            }
            if let failure = reply.writeErrors.first {
                if failure.isTakenId { return false }
                throw failure.error.storeError(in: session.operation)
            }
            return revision == 0 || reply.matched == 1
        }
    }

    public func announceErasure(of project: ProjectID) async throws(StoreError) {
        try await run(.announceErasure) { session throws(StoreError) in
            try session.updateRecord(of: project, [("$inc", ["erasures": 1])])
        }
    }

    public func remove(_ events: [Event]) async throws(StoreError) -> Int {
        guard !events.isEmpty else { return 0 }
        return try await run(.remove) { session throws(StoreError) in
            var count = 0
            for chunk in events.chunks(ofCount: 1_000) {
                let reply = try session.bulk(.events) { bulk throws(StoreError) in
                    for event in chunk {
                        try bulk.removeMany(
                            session.encode([("_id", Key.event(event.project, event.id)), ("receipt", .string(event.ingestID))]))
                    }
                }
                if let error = reply.writeErrors.first?.error { throw error.storeError(in: session.operation) }
                count += Int(reply.removed)
            }
            return count
        }
    }

    /// Does nothing: the server manages its own files.
    public func overwriteDeleted() async throws(StoreError) {}
}

extension Key {
    /// `id` is a BSON value, so that it can also be a bound of a range.
    static func erasure(_ project: ProjectID, _ id: BSON) -> BSON {
        .document([("project", .string(project.name)), ("id", id)])
    }
}

extension Session {
    fileprivate func erasures(of project: ProjectID, _ options: [(String, BSON)]) throws(StoreError) -> [StoredErasure] {
        // In BSON, a document sorts after every string.
        let all: BSON = ["$gte": Key.erasure(project, ""), "$lt": Key.erasure(project, [:])]
        var erasures: [StoredErasure] = []
        try find(.erasures, [("_id", all)], [("sort", ["_id": 1])] + options) { row throws(StoreError) in
            guard let id = row["_id"]?.document?["id"]?.string, let revision = row["revision"]?.integer, let bytes = row["bytes"]?.binary
            else { throw damage(.erasures) }
            erasures.append(StoredErasure(project: project, id: id, revision: revision, bytes: bytes))
        }
        return erasures
    }
}
