public import AnalyticsCore

extension MongoStore {
    public func visitorSecret(of day: Int64, orElse drawn: [UInt8]) async throws(StoreError) -> [UInt8] {
        try await run(.visitorSecret) { session throws(StoreError) in
            let id: (String, BSON) = ("_id", .integer(day))
            let reply = try session.bulk(.visitorSecrets) { bulk throws(StoreError) in
                try bulk.insert(session.encode([id, ("secret", .binary(drawn))]))
            }
            if let failure = reply.writeErrors.first(where: { !$0.isTakenId }) { throw failure.error.storeError(in: session.operation) }
            // A majority read: no failover can replace this secret.
            var found: [UInt8]?
            try session.find(.visitorSecrets, [id], [("limit", 1)]) { row throws(StoreError) in
                guard let secret = row["secret"]?.binary else { throw session.damage(.visitorSecrets) }
                found = secret
            }
            guard let found else { throw StoreError(.unavailable, operation: session.operation, "the secret is gone") }
            return found
        }
    }

    public func deleteVisitorSecrets(before day: Int64) async throws(StoreError) {
        try await run(.visitorSecret) { session throws(StoreError) in
            let reply = try session.bulk(.visitorSecrets) { bulk throws(StoreError) in
                try bulk.removeMany(session.encode([("_id", ["$lt": .integer(day)])]))
            }
            if let error = reply.writeErrors.first?.error { throw error.storeError(in: session.operation) }
        }
    }
}
