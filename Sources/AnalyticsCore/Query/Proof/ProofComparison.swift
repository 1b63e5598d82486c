/// What has changed under an answer since it was given, by the versions of minutes and their journals.
public struct ProofComparison: Sendable, Equatable {
    /// A minute that was marked since.
    public struct Minute: Sendable, Equatable {
        public var minute: Int64
        /// The version that the proof holds, 0 where the minute had no events; `nil` where it holds none.
        public var from: Int64?
        public var to: Int64
        public var causes: BucketCauses
        /// Events more, as far as journals tell. Of a minute that is new all of its events.
        public var difference: Int64?
        /// When it was last counted for such a cause.
        public var until: Timestamp?
    }

    /// The days that are of other versions now.
    public var days: [Int64] = []
    /// Those of them whose minutes have changed; the first ``limit``.
    public var minutes: [Minute] = []
    /// Minutes beyond the limit.
    public var unlisted = 0
    /// Days that the proof does not list one by one have changed.
    public var haveEarlierChanged = false

    public static let limit = 1_000

    public init() {}

    /// Reads versions, and the journals of changed days.
    ///
    /// - Parameter recount: Knows the ranges that are counted now: where a question has no bounds, there are more events than before.
    public init(_ proof: Proof, _ recount: ReadingRecord, in store: any RollupStore) async throws {
        let ranges = proof.ranges + recount.state.ranges
        let known = Dictionary(proof.days.map { ($0.day, $0) }) { first, _ in first }
        var earlier = Proof.EarlierDays()
        let touched = ranges.map(\.days).sorted { $0.lowerBound < $1.lowerBound }.merged()
        let versions = try await store.versions(.day, project: proof.project, in: touched)
        for (day, version) in versions.sorted(by: { $0.key < $1.key }) {
            if known[day] == nil, proof.earlier.count > 0 {
                earlier.add(version)
            } else if known[day]?.version != version {
                days.append(day)
                try await add(known[day] ?? .empty(day), proof, ranges, store)
            }
        }
        haveEarlierChanged = earlier != proof.earlier
    }

    private mutating func add(
        _ day: ProofDay, _ proof: Proof, _ ranges: [Range<Timestamp>], _ store: any RollupStore
    ) async throws {
        let first = day.day * Int64(SegmentHead.minutesInDay)
        let range = first..<first + Int64(SegmentHead.minutesInDay)
        for history in try await store.histories(project: proof.project, minutes: [range]) {
            let start = Timestamp(minute: history.key.index)..<Timestamp(minute: history.key.index + 1)
            guard ranges.contains(where: { $0.overlaps(start) }) else { continue }
            guard let minute = Minute(history, since: day.minutes?[Int(history.key.index - first)], asOf: proof.asOf) else { continue }
            if minutes.count < Self.limit { minutes.append(minute) } else { unlisted += 1 }
        }
    }
}

extension ProofComparison.Minute {
    /// `nil` for a minute that has not changed, as far as is known.
    init?(_ history: BucketHistory, since version: Int64?, asOf: Timestamp) {
        let changes: [BucketChange]
        if let version {
            guard history.version != version else { return nil }
            changes = history.changes.filter { $0.to > version }
        } else {
            changes = history.changes.filter { $0.until >= asOf }
            guard !changes.isEmpty || !history.causes.isEmpty else { return nil }
        }
        // Marks that are not counted yet, and the first one, stand beside the journal.
        var causes = changes.reduce(BucketCauses()) { $0.union($1.causes) }
        if version == 0 { causes.formUnion(history.created) }
        if history.version != history.done { causes.formUnion(history.causes) }
        var difference: Int64?
        if version == 0 {
            difference = history.events
        } else if !changes.isEmpty, changes.allSatisfy({ $0.from >= version ?? $0.from }) {
            difference = changes.reduce(Int64?(0)) { sum, change in sum.flatMap { sum in change.difference.map { sum &+ $0 } } }
        }
        self.init(
            minute: history.key.index, from: version, to: history.version, causes: causes, difference: difference,
            until: changes.first?.until)
    }
}
