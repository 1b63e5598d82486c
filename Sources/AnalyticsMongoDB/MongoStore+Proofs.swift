public import AnalyticsCore

extension MongoStore {
    public func proofKey(orElse draft: [UInt8]) async throws(StoreError) -> [UInt8] {
        try await run(.proofKey) { session throws(StoreError) in
            if let key = try session.proofKey() { return key }
            let reply = try session.bulk(.meta) { bulk throws(StoreError) in
                try bulk.insert(session.encode([("_id", "proofKey"), ("value", .binary(draft))]))
            }
            if let failure = reply.writeErrors.first(where: { !$0.isTakenId }) { throw failure.error.storeError(in: session.operation) }
            // If another process inserted it, it may not be majority-committed yet.
            guard let key = try session.proofKey() else {
                throw StoreError(.unavailable, operation: session.operation, "the proof key is not readable yet")
            }
            return key
        }
    }
}

extension Session {
    fileprivate func proofKey() throws(StoreError) -> [UInt8]? {
        var keys: [[UInt8]?] = []
        try find(.meta, [("_id", "proofKey")], []) { row in keys.append(row["value"]?.binary) }
        guard let found = keys.first else { return nil }
        guard let key = found, key.count == Proof.keyBytes else { throw damage(.meta) }
        return key
    }
}
