import Algorithms
public import AnalyticsCore

extension MongoStore {
    public func mark(_ tier: RollupTier, _ marks: [BucketMark]) async throws(StoreError) {
        guard !marks.isEmpty else { return }
        // Of two marks of one bucket neither counts all.
        let marks = Dictionary(marks.map { ($0.key, $0) }) { BucketMark(key: $0.key, causes: $0.causes.union($1.causes)) }
        try await run(.mark) { session throws(StoreError) in
            // Sorted, so that writers at the same time meet one another in the same order.
            for chunk in marks.keys.sorted().chunks(ofCount: 2000) { try session.mark(tier, Array(chunk), marks) }
        }
    }
}

extension Session {
    /// Inserts those that are not there and updates the others, all of them in one statement each.
    ///
    /// An upsert a key does the same, but the server plans and commits each by itself: 14,000 a second, where this makes 45,000
    /// new ones and 24,000 old ones.
    ///
    /// Marking once too often (a retry, a write that comes late) only makes somebody count again.
    fileprivate func mark(_ tier: RollupTier, _ keys: [BucketKey], _ marks: [BucketKey: BucketMark]) throws(StoreError) {
        let kind = BucketKind(tier)
        var present: Set<BucketKey> = []
        let ids = keys.map { Key.bucket(kind, $0) }
        // A majority read: what it finds cannot be rolled back, and nobody deletes buckets.
        try find(kind.collection, [("_id", ["$in": .array(ids)])], [("projection", ["_id": 1])]) { row in
            if let key = row["_id"]?.document.flatMap(kind.key) { present.insert(key) }
        }
        let missing = keys.filter { !present.contains($0) }
        present.formUnion(try insert(tier, missing, marks))
        try update(kind, present, marks)
    }

    /// Returns those that somebody else has inserted meanwhile.
    private func insert(
        _ tier: RollupTier, _ keys: [BucketKey], _ marks: [BucketKey: BucketMark]
    ) throws(StoreError) -> [BucketKey] {
        guard !keys.isEmpty else { return [] }
        let kind = BucketKind(tier)
        let reply = try bulk(kind.collection) { bulk throws(StoreError) in
            for key in keys {
                let (mark, version) = (marks[key], tier.firstVersion)
                let table = mark?.table
                try bulk.insert(
                    encode(
                        [
                            ("_id", Key.bucket(kind, key)), ("v", .integer(version)), ("done", .integer(table == nil ? 0 : version)),
                            ("dirty", .boolean(table == nil)), ("groups", .binary(table?.bytes ?? [])),
                        ] + History.first(mark)))
            }
        }
        var taken: [BucketKey] = []
        for failure in reply.writeErrors {
            guard failure.isTakenId, keys.indices.contains(failure.index) else { throw failure.error.storeError(in: operation) }
            taken.append(keys[failure.index])
        }
        return taken
    }

    /// What a mark changes in a bucket that is there.
    private struct Change: Hashable {
        var causes: BucketCauses
        var parts: MinuteParts?

        init(_ mark: BucketMark?) {
            (causes, parts) = (mark?.causes ?? [], mark?.parts)
        }
    }

    private func update(_ kind: BucketKind, _ keys: Set<BucketKey>, _ marks: [BucketKey: BucketMark]) throws(StoreError) {
        guard !keys.isEmpty else { return }
        // Mostly one statement: events in time have no cause, and those of many minutes tell no parts.
        let changes = Dictionary(grouping: keys) { Change(marks[$0]) }
        let reply = try bulk(kind.collection) { bulk throws(StoreError) in
            for (change, keys) in changes {
                let filter = try encode([("_id", ["$in": .array(keys.map { Key.bucket(kind, $0) })])])
                let raised: [(String, BSON)] = [("v", 1)] + Stamps.raised(change.parts)
                let update = try encode([("$inc", .document(raised)), ("$set", ["dirty": true])] + History.more(change.causes))
                try bulk.updateMany(filter, update)
            }
        }
        if let error = reply.writeErrors.first?.error { throw error.storeError(in: operation) }
        // One that another's insert had taken may have been rolled back with it, and is not there after all.
        guard reply.matched == keys.count else {
            throw StoreError(.unavailable, operation: operation, "\(reply.matched) of \(keys.count) found to be raised")
        }
    }
}
