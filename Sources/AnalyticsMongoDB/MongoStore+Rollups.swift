public import AnalyticsCore

extension MongoStore {
    public func rollups(_ tier: RollupTier, project: String, in ranges: [Range<Int64>]) async throws(StoreError) -> [Rollup] {
        let ranges = Ranges.normalised(ranges)
        guard !ranges.isEmpty else { return [] }
        let kind = BucketKind(tier)
        return try await run("rollups") { session throws(StoreError) in
            var rollups: [Rollup] = []
            for query in Ranges.queries(ranges) {
                let alternatives: [BSON] = query.map { ["_id": Key.buckets(kind, project, $0)] }
                try session.find(kind.collection, [("$or", .array(alternatives))], [("sort", ["_id": 1])]) { row in
                    if let rollup = Rollup(row, kind) { rollups.append(rollup) }
                }
            }
            return rollups
        }
    }

    public func dirtyBuckets(_ tier: RollupTier, after key: BucketKey?, limit: Int) async throws(StoreError) -> [BucketVersion] {
        guard limit > 0 else { return [] }
        let kind = BucketKind(tier)
        return try await run("dirtyBuckets") { session throws(StoreError) in
            var buckets: [BucketVersion] = []
            let later: [(String, BSON)] = key.map { [("_id", ["$gt": Key.bucket(kind, $0)])] } ?? []
            let options: [(String, BSON)] = [
                ("sort", ["_id": 1]), ("limit", .integer(Int64(limit))), ("projection", ["v": 1, "done": 1]),
                ("hint", .string(Index.marked)),
            ]
            try session.find(kind.collection, [("dirty", true)] + later, options) { row in
                guard let key = row["_id"]?.document.flatMap(kind.key), let version = row["v"]?.integer else { return }
                buckets.append(BucketVersion(key: key, version: version, done: row["done"]?.integer ?? 0))
            }
            return buckets
        }
    }

    public func generation(project: String, days: Range<Int64>) async throws(StoreError) -> Int64 {
        guard !days.isEmpty else { return 0 }
        return try await run("generation") { session throws(StoreError) in
            var sum: Int64 = 0
            let stages: [BSON] = [
                ["$match": ["_id": Key.buckets(.day, project, days)]], ["$group": ["_id": .null, "v": ["$sum": "$v"]]],
            ]
            try session.aggregate(.days, stages) { sum = $0["v"]?.integer ?? 0 }
            return sum
        }
    }
}

extension Rollup {
    fileprivate init?(_ row: BSONView, _ kind: BucketKind) {
        guard let key = row["_id"]?.document.flatMap(kind.key), let version = row["v"]?.integer, let done = row["done"]?.integer,
            let dirty = row["dirty"]?.boolean, let groups = row["groups"]?.document
        else { return nil }
        self.init(
            key: key, version: version, done: done, dirty: dirty, groups: groups.compactMap { $0.document.map(RollupGroup.init) })
    }
}

extension RollupGroup {
    fileprivate init(_ view: BSONView) {
        self.init(
            type: view["type"]?.string ?? "", source: view["source"]?.string ?? "", count: view["n"]?.integer ?? 0,
            quarters: view["q"]?.document?.compactMap(\.integer) ?? [])
    }
}
