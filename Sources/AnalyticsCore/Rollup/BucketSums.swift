/// Sums the buckets of a tier from the finer tier, one page at a time.
struct BucketSums {
    enum Sum: Equatable {
        /// One of the finer buckets is marked: the sum is unknown.
        case marked
        /// Without a table of receipt if one of the finer buckets has none.
        case table(GroupTable, ReceivedTable?)
    }

    private let tier: RollupTier
    private var bucket: Int64?
    private var sums: GroupSums
    private var received: ReceivedSums? = ReceivedSums()
    private var isMarked = false

    private init(_ tier: RollupTier) {
        self.tier = tier
        sums = GroupSums(hasQuarters: tier == .hour)
    }

    /// Calls `body` with each bucket that has finer buckets, in ascending order. Its sum has what `content` names.
    static func each(
        _ tier: RollupTier, of project: ProjectID, in buckets: [Range<Int64>], from store: any RollupStore,
        content: BucketContent = .all, _ body: (Int64, Sum) async throws -> Void
    ) async throws {
        guard let finer = tier.finer else { return }
        var state = BucketSums(tier)
        try await store.eachRollupPage(finer, project: project, in: buckets.scaled(by: tier.parts), content: content) { page in
            for part in page {
                if let done = state.add(part) { try await body(done.0, done.1) }
            }
        }
        if let done = state.close() { try await body(done.0, done.1) }
    }

    /// The sum of one bucket from all of its finer buckets.
    static func sum(_ tier: RollupTier, of parts: [Rollup]) -> Sum {
        var state = BucketSums(tier)
        for part in parts { _ = state.add(part) }
        return state.close()?.1 ?? .table(.empty, .empty)
    }

    /// Returns the previous bucket when the part is the first of another one.
    private mutating func add(_ part: Rollup) -> (Int64, Sum)? {
        let own = floorDivide(part.key.index, by: tier.parts)
        let done = own == bucket ? nil : close()
        bucket = own
        isMarked = isMarked || part.dirty
        if !isMarked {
            sums.add(part.table, quarter: tier == .hour ? Int(part.key.index - own * 60) / 15 : 0)
            if let days = try? part.received?.days() { received?.add(days) } else { received = nil }
        }
        return done
    }

    private mutating func close() -> (Int64, Sum)? {
        guard let bucket else { return nil }
        defer { self = BucketSums(tier) }
        return (bucket, isMarked ? .marked : .table(sums.table, received?.table))
    }
}
