public import AnalyticsCore

extension MongoStore {
    public func beginAttempt(on delivery: String, by process: String, at time: Timestamp) async throws(StoreError) -> Int {
        try await run(.beginAttempt) { session throws(StoreError) in
            let reply = try session.bulk(.attempts) { bulk throws(StoreError) in
                try bulk.insert(session.encode([("_id", Key.attempt(delivery, .string(process))), ("at", .date(time))]))
            }
            if let failure = reply.writeErrors.first(where: { !$0.isTakenId }) { throw failure.error.storeError(in: session.operation) }
            var others = 0
            try session.find(.attempts, [("_id", Key.attempts(delivery))], [("projection", ["_id": 1])]) { row in
                guard let other = row["_id"]?.document?["process"]?.string else { return }
                if !other.utf8.elementsEqual(process.utf8) { others += 1 }
            }
            return others
        }
    }

    public func forgetAttempts(on delivery: String) async throws(StoreError) {
        try await run(.forgetAttempts) { session throws(StoreError) in
            let reply = try session.bulk(.attempts) { bulk throws(StoreError) in
                try bulk.removeMany(session.encode([("_id", Key.attempts(delivery))]))
            }
            if let error = reply.writeErrors.first?.error { throw error.storeError(in: session.operation) }
        }
    }
}
