public import AnalyticsCore

extension MongoStore {
    public func rollups(
        _ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>], byteLimit: Int, content: BucketContent
    ) async throws(StoreError) -> RollupPage {
        let ranges = Ranges.normalised(ranges)
        guard !ranges.isEmpty else { return RollupPage(rollups: []) }
        let kind = BucketKind(tier)
        let options: [(String, BSON)] = [("sort", ["_id": 1])] + Self.projection(tier, content)
        return try await run(.rollups) { session throws(StoreError) in
            var page = RollupPage(rollups: [])
            var bytes = 0
            for query in Ranges.queries(ranges) where page.next == nil {
                let alternatives: [BSON] = query.map { ["_id": Key.buckets(kind, project, $0)] }
                let filter: [(String, BSON)] = [("$or", .array(alternatives))]
                try session.findWhile(kind.collection, filter, options) { row throws(StoreError) -> Bool in
                    if bytes >= byteLimit, let last = page.rollups.last {
                        page.next = last.key.index + 1
                        return false
                    }
                    guard let rollup = Rollup(row, kind, content) else { throw session.damage(kind.collection) }
                    page.rollups.append(rollup)
                    bytes += rollup.size
                    return true
                }
            }
            return page
        }
    }

    /// Groups of hours and days come with the rest of their documents, which is small: a projection would cost the server more.
    private static func projection(_ tier: RollupTier, _ content: BucketContent) -> [(String, BSON)] {
        let members: BSON
        switch (content, tier) {
        case (.received, _): members = ["v": 1, "done": 1, "dirty": 1, "received": 1]
        case (.groups, .minute): members = ["parts": 0, "received": 0]
        case (.all, .minute): members = ["parts": 0]
        case (.groups, _), (.all, _): return []
        }
        return [("projection", members)]
    }

    public func dirtyBuckets(_ tier: RollupTier, after key: BucketKey?, limit: Int) async throws(StoreError) -> [BucketVersion] {
        guard limit > 0 else { return [] }
        let kind = BucketKind(tier)
        return try await run(.dirtyBuckets) { session throws(StoreError) in
            var buckets: [BucketVersion] = []
            let later: [(String, BSON)] = key.map { [("_id", ["$gt": Key.bucket(kind, $0)])] } ?? []
            let possible: BSON = ["$gte": .date(.earliest), "$lte": .date(.latest)]
            let options: [(String, BSON)] = [
                ("sort", ["_id": 1]), ("limit", .integer(Int64(limit))), ("projection", ["v": 1, "done": 1]),
                ("hint", .string(Index.marked)),
            ]
            let filter = [("dirty", true), ("_id.\(kind.field)", possible)] + later
            try session.find(kind.collection, filter, options) { row throws(StoreError) in
                guard let key = row["_id"]?.document.flatMap(kind.key), let version = row["v"]?.integer, let done = row["done"]?.integer
                else { throw session.damage(kind.collection) }
                buckets.append(BucketVersion(key: key, version: version, done: done))
            }
            return buckets
        }
    }

    public func versions(_ tier: RollupTier, project: ProjectID, in ranges: [Range<Int64>]) async throws(StoreError) -> [Int64: Int64] {
        let ranges = Ranges.normalised(ranges)
        guard !ranges.isEmpty else { return [:] }
        let kind = BucketKind(tier)
        return try await run(.versions) { session throws(StoreError) in
            var versions: [Int64: Int64] = [:]
            // For days, an index holds exactly these fields.
            let options: [(String, BSON)] =
                [("projection", ["_id": 1, "v": 1])] + (tier == .day ? [("hint", .string(Index.generation))] : [])
            for query in Ranges.queries(ranges) {
                let alternatives: [BSON] = query.map { ["_id": Key.buckets(kind, project, $0)] }
                try session.find(kind.collection, [("$or", .array(alternatives))], options) { row throws(StoreError) in
                    guard let key = row["_id"]?.document.flatMap(kind.key), let version = row["v"]?.integer else {
                        throw session.damage(kind.collection)
                    }
                    versions[key.index] = version
                }
            }
            return versions
        }
    }

    public func generation(project: ProjectID, days: Range<Int64>) async throws(StoreError) -> Int64 {
        guard !days.isEmpty else { return 0 }
        return try await run(.generation) { session throws(StoreError) in
            var sum: Int64 = 0
            let stages: [BSON] = [
                ["$match": ["_id": Key.buckets(.day, project, days)]], ["$group": ["_id": .null, "v": ["$sum": "$v"]]],
            ]
            // A sum beyond 64 bits would be a double.
            try session.aggregate(.days, stages, [("hint", .string(Index.generation))]) { row throws(StoreError) in
                guard let generation = row["v"]?.integer else { throw session.damage(.days) }
                sum = generation
            }
            return sum
        }
    }
}

extension Rollup {
    /// `nil` for a document that this adapter did not write.
    init?(_ row: BSONView, _ kind: BucketKind, _ content: BucketContent = .all) {
        guard row.each({ _ in }), let key = row["_id"]?.document.flatMap(kind.key), let version = row["v"]?.integer else { return nil }
        if kind == .day, row["done"] == nil {
            // Versions up to schema 3 stored only the generation in a day. They may still raise it, and then the stored sum is out of date.
            self.init(key: key, version: version, done: 0, dirty: true, table: .empty)
            return
        }
        let table: GroupTable? = content == .received ? .overflow : row["groups"].flatMap { GroupTable($0) }
        guard let done = row["done"]?.integer, let dirty = row["dirty"]?.boolean, let table else { return nil }
        var received: ReceivedTable?
        if content != .groups, let stored = row["received"] {
            guard let counted = stored.document?["v"]?.integer, let bytes = stored.document?["t"]?.binary else { return nil }
            if counted == done { received = ReceivedTable(bytes: bytes) }
        }
        self.init(
            key: key, version: version, done: done, dirty: dirty || (kind == .day && done != version), table: table,
            received: received)
    }
}

extension GroupTable {
    /// Reads bytes, or the array of groups that versions up to schema 2 wrote.
    init?(_ element: BSONElement) {
        if let bytes = element.binary {
            self.init(bytes: bytes)
        } else if let groups = element.document?.all(RollupGroup.init) {
            self.init(earlier: groups)
        } else {
            return nil
        }
    }
}

extension RollupGroup {
    fileprivate init?(_ element: BSONElement) {
        guard let view = element.document, view.each({ _ in }), let type = view["type"]?.string, let source = view["source"]?.string,
            let count = view["n"]?.integer
        else { return nil }
        var quarters: [Int64]? = []
        if let element = view["q"] { quarters = element.document?.all(\.integer) }
        guard let quarters else { return nil }
        self.init(storedType: type, source: source, count: count, quarters: quarters)
    }
}

extension BSONView {
    /// All elements, read by `read`; `nil` if one is unreadable or the bytes are not one whole document.
    func all<Value>(_ read: (BSONElement) -> Value?) -> [Value]? {
        var values: [Value] = []
        var isReadable = true
        let isWhole = each { element in
            if let value = read(element) { values.append(value) } else { isReadable = false }
        }
        return isWhole && isReadable ? values : nil
    }
}
