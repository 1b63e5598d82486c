import Algorithms
public import AnalyticsCore

extension MongoStore {
    public func roll(_ tier: RollupTier, _ buckets: [RolledBucket]) async throws(StoreError) -> Int {
        guard !buckets.isEmpty else { return 0 }
        return try await run(.roll) { session throws(StoreError) in
            var applied: Int64 = 0
            for chunk in buckets.chunks(ofCount: Rolling.bulkCount) {
                let reply = try session.bulk(BucketKind(tier).collection) { bulk throws(StoreError) in
                    for statement in Rolling.statements(chunk) {
                        let (filter, update) = Rolling.statement(BucketKind(tier), statement)
                        guard let pipeline = BSONDocument(pipeline: update) else {
                            throw StoreError(.refused, operation: "roll", "does not fit into BSON")
                        }
                        try bulk.updateMany(session.encode(filter), pipeline)
                    }
                }
                if let error = reply.writeErrors.first?.error { throw error.storeError(in: "roll") }
                applied += reply.modified
            }
            return Int(applied)
        }
    }
}

extension MongoStore {
    public func unmark(_ tier: RollupTier, _ buckets: [BucketVersion]) async throws(StoreError) {
        guard !buckets.isEmpty else { return }
        try await run(.unmark) { session throws(StoreError) in
            let kind = BucketKind(tier)
            for chunk in buckets.chunks(ofCount: Rolling.bulkCount) {
                let reply = try session.bulk(kind.collection) { bulk throws(StoreError) in
                    let update = try session.encode([("$set", ["dirty": false])])
                    for bucket in chunk {
                        let filter: [(String, BSON)] = [("_id", Key.bucket(kind, bucket.key)), ("v", .integer(bucket.version))]
                        try bulk.updateMany(session.encode(filter), update)
                    }
                }
                if let error = reply.writeErrors.first?.error { throw error.storeError(in: "unmark") }
            }
        }
    }
}

extension MongoStore {
    public func fillReceived(_ tier: RollupTier, _ buckets: [Rollup]) async throws(StoreError) {
        let buckets = buckets.filter { $0.received != nil }
        guard !buckets.isEmpty else { return }
        try await run(.fillReceived) { session throws(StoreError) in
            let kind = BucketKind(tier)
            for chunk in buckets.chunks(ofCount: Rolling.bulkCount) {
                let reply = try session.bulk(kind.collection) { bulk throws(StoreError) in
                    for bucket in chunk {
                        let filter: [(String, BSON)] = [
                            ("_id", Key.bucket(kind, bucket.key)), ("done", .integer(bucket.done)),
                            ("received.v", ["$ne": .integer(bucket.done)]),
                        ]
                        let update: BSON = .document(Received.members(bucket.received, for: bucket.done))
                        try bulk.updateMany(session.encode(filter), session.encode([("$set", update)]))
                    }
                }
                if let error = reply.writeErrors.first?.error { throw error.storeError(in: "fillReceived") }
            }
        }
    }
}

/// The member of a bucket that has its table of receipt: `received`, with `t`, the table, and `v`, the `done` that it was counted for: an
/// earlier version of the service counts groups without it. Missing if the table is unknown, and in documents of earlier versions.
enum Received {
    static func members(_ table: ReceivedTable?, for done: Int64) -> [(String, BSON)] {
        guard let table else { return [] }
        return [("received", ["v": .integer(done), "t": .binary(table.bytes)])]
    }
}

/// A compare-and-set of many buckets in few statements.
///
/// One statement per bucket, with a condition and a pipeline, costs the server 200 µs, nearly all of it for planning. One
/// statement for some dozens looks up each bucket's new values by `_id` and costs a third per bucket. The update of each document
/// is still atomic, and is evaluated again after a concurrent write.
enum Rolling {
    /// Buckets per command, which the driver splits at 48 MB.
    static let bulkCount = 2000
    /// Buckets per statement; the lookup searches a list linearly.
    static let statementCount = 64
    /// Bytes of tables per statement, unless one table alone is larger. A statement must stay below a document's 16 MB.
    static let statementBytes = 4 << 20

    static func statements(_ buckets: ArraySlice<RolledBucket>) -> [ArraySlice<RolledBucket>] {
        var statements: [ArraySlice<RolledBucket>] = []
        var start = buckets.startIndex
        var bytes = 0
        for index in buckets.indices {
            let own = buckets[index].size
            if index - start == statementCount || (index > start && bytes + own > statementBytes) {
                statements.append(buckets[start..<index])
                start = index
                bytes = 0
            }
            bytes += own
        }
        if start < buckets.endIndex { statements.append(buckets[start...]) }
        return statements
    }

    static func statement(_ kind: BucketKind, _ buckets: ArraySlice<RolledBucket>) -> (filter: [(String, BSON)], update: [BSON]) {
        let ids = BSON.array(buckets.map { Key.bucket(kind, $0.key) })
        let rolls = BSON.array(
            buckets.map { bucket -> BSON in
                let more = Received.members(bucket.received, for: bucket.version) + History.members(bucket)
                return .document([("v", .integer(bucket.version)), ("groups", .binary(bucket.table.bytes))] + more)
            })
        // `$literal`: otherwise a value that starts with "$" would be an expression.
        let mine: BSON = ["$arrayElemAt": [["$literal": rolls], ["$indexOfArray": [["$literal": ids], "$_id"]]]]
        let isNewer: BSON = ["$lt": ["$done", "$roll.v"]]
        func set(_ value: BSON, else field: BSON) -> BSON { ["$cond": [isNewer, value, field]] }
        return (
            [("_id", ["$in": ids])],
            [
                ["$set": ["roll": mine]],
                [
                    "$set": .document(
                        [
                            ("groups", set("$roll.groups", else: "$groups")), ("done", set("$roll.v", else: "$done")),
                            ("dirty", set(["$ne": ["$v", "$roll.v"]], else: "$dirty")),
                            ("received", set(["$ifNull": ["$roll.received", "$$REMOVE"]], else: "$received")),
                        ] + (kind == .minute ? History.roll(isNewer: isNewer) : []))
                ],
                ["$unset": "roll"],
            ]
        )
    }
}
