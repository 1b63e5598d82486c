public import AnalyticsCore
import Foundation

extension MongoStore {
    /// What tells this database from all others: a UUID that is drawn when it is first asked for, and stays; the same for all processes.
    /// Durable when this returns. A restored copy of the database has the same.
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
            // Another process's may not be at a majority yet.
            guard let found = identities.first else {
                throw StoreError(.unavailable, operation: session.operation, "the identity is not there yet")
            }
            guard let identity = found else { throw session.damage(.meta) }
            return identity.uuidString
        }
    }
}
