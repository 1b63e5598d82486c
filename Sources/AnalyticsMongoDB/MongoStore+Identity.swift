public import AnalyticsCore
import Foundation

extension MongoStore {
    /// Identifies this database: a UUID that the first call creates and that never changes. It is the same for all processes and durable
    /// when this returns. A restored copy of the database has the same identity.
    public func identity() async throws(StoreError) -> String {
        try await run(.identity) { session throws(StoreError) in
            let reply = try session.bulk(.meta) { bulk throws(StoreError) in
                try bulk.insert(session.encode([("_id", "identity"), ("value", .string(UUID().uuidString))]))
            }
            if let failure = reply.writeErrors.first(where: { !$0.isTakenId }) { throw failure.error.storeError(in: session.operation) }
            var identities: [UUID?] = []
            try session.find(.meta, [("_id", "identity")], []) { row in
                identities.append(row["value"]?.string.flatMap(UUID.init(uuidString:)))
            }
            // If another process inserted it, it may not be majority-committed yet.
            guard let found = identities.first else {
                throw StoreError(.unavailable, operation: session.operation, "the identity is not readable yet")
            }
            guard let identity = found else { throw session.damage(.meta) }
            return identity.uuidString
        }
    }
}
