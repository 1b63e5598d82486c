public import AnalyticsCore

extension MongoStore {
    public func mark(_ tier: RollupTier, _ marks: [BucketMark]) async throws(StoreError) {
        try await raise(.bucket(tier), marks, "mark")
    }

    public func bumpGenerations(_ days: [BucketKey]) async throws(StoreError) {
        try await raise(.generation, days.map { BucketMark(key: $0) }, "bumpGenerations")
    }

    private func raise(_ counter: Counter, _ marks: [BucketMark], _ operation: String) async throws(StoreError) {
        guard !marks.isEmpty else { return }
        // Of two marks of one bucket neither counts all.
        let tables = Dictionary(marks.map { (Counter.Key(bucket: $0.key), $0.table) }) { _, _ in nil }
        try await run(operation) { session throws(StoreError) in
            for chunk in tables.keys.sorted().chunks(ofCount: 2000) { try session.raise(counter, Array(chunk), tables) }
        }
    }
}

/// The `v` of a bucket or a day: what a raise does to one that is there, and what a new one looks like.
///
/// Raising once too often (a retry, a write that comes late) only makes somebody count again.
private enum Counter: Sendable {
    case bucket(RollupTier)
    case generation

    var kind: BucketKind {
        switch self {
        case .bucket(let tier): BucketKind(tier)
        case .generation: .day
        }
    }

    var update: [(String, BSON)] {
        switch self {
        case .bucket: [("$inc", ["v": 1]), ("$set", ["dirty": true])]
        case .generation: [("$inc", ["v": 1])]
        }
    }

    func new(_ table: GroupTable?) -> [(String, BSON)] {
        switch self {
        case .bucket:
            [
                ("v", 1), ("done", table == nil ? 0 : 1), ("dirty", .boolean(table == nil)), ("groups", .binary(table?.bytes ?? [])),
            ]
        case .generation: [("v", .integer(Generation.first()))]
        }
    }

    /// A bucket's key, told apart by bytes: two spellings of é are two projects. Sorted, so that writers at the same time meet
    /// one another in the same order.
    struct Key: Hashable, Comparable {
        var project: [UInt8]
        var index: Int64

        init(bucket: BucketKey) {
            project = Array(bucket.project.utf8)
            index = bucket.index
        }

        var bucket: BucketKey { BucketKey(project: String(decoding: project, as: UTF8.self), index: index) }

        static func < (a: Key, b: Key) -> Bool {
            a.project == b.project ? a.index < b.index : a.project.lexicographicallyPrecedes(b.project)
        }
    }
}

extension Session {
    /// Inserts those that are not there and updates the others, all of them in one statement each.
    ///
    /// An upsert a key does the same, but the server plans and commits each by itself: 14,000 a second, where this makes 45,000
    /// new ones and 24,000 old ones.
    fileprivate func raise(_ counter: Counter, _ keys: [Counter.Key], _ tables: [Counter.Key: GroupTable?]) throws(StoreError) {
        let kind = counter.kind
        var present: Set<Counter.Key> = []
        let ids = keys.map { Key.bucket(kind, $0.bucket) }
        // A majority read: what it finds cannot be rolled back, and nobody deletes buckets.
        try find(kind.collection, [("_id", ["$in": .array(ids)])], [("projection", ["_id": 1])]) { row in
            if let key = row["_id"]?.document.flatMap(kind.key) { present.insert(Counter.Key(bucket: key)) }
        }
        let missing = keys.filter { !present.contains($0) }
        present.formUnion(try insert(counter, missing, tables))
        try update(counter, Array(present))
    }

    /// Returns those that somebody else has inserted meanwhile.
    private func insert(
        _ counter: Counter, _ keys: [Counter.Key], _ tables: [Counter.Key: GroupTable?]
    ) throws(StoreError) -> [Counter.Key] {
        guard !keys.isEmpty else { return [] }
        let reply = try bulk(counter.kind.collection) { bulk throws(StoreError) in
            for key in keys { try bulk.insert(encode([("_id", Key.bucket(counter.kind, key.bucket))] + counter.new(tables[key] ?? nil))) }
        }
        var taken: [Counter.Key] = []
        for failure in reply.writeErrors {
            guard failure.isTakenId, keys.indices.contains(failure.index) else { throw failure.error.storeError(in: operation) }
            taken.append(keys[failure.index])
        }
        return taken
    }

    private func update(_ counter: Counter, _ keys: [Counter.Key]) throws(StoreError) {
        guard !keys.isEmpty else { return }
        let filter = try encode([("_id", ["$in": .array(keys.map { Key.bucket(counter.kind, $0.bucket) })])])
        let update = try encode(counter.update)
        let reply = try bulk(counter.kind.collection) { bulk throws(StoreError) in try bulk.updateMany(filter, update) }
        if let error = reply.writeErrors.first?.error { throw error.storeError(in: operation) }
        // One that another's insert had taken may have been rolled back with it, and is not there after all.
        guard reply.matched == keys.count else {
            throw StoreError(.unavailable, operation: operation, "\(reply.matched) of \(keys.count) found to be raised")
        }
    }
}
