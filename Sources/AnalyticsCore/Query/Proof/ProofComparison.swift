/// The changes of the stored events since an answer was given, from versions and journals of minutes.
public struct ProofComparison: Sendable, Equatable {
    /// A minute that has been marked since.
    public struct Minute: Sendable, Equatable {
        public var minute: Int64
        /// The version in the proof, 0 if the minute had no events; `nil` if the proof has none.
        public var from: Int64?
        public var to: Int64
        public var causes: BucketCauses
        /// The number of events gained, if journals tell it. For a new minute, all of its events.
        public var difference: Int64?
        /// The last count after such a change.
        public var until: Timestamp?
    }

    /// The days whose versions have changed.
    public var days: [Int64] = []
    /// The changed minutes of these days, up to ``limit``.
    public var minutes: [Minute] = []
    /// The number of changed minutes beyond the limit.
    public var unlisted = 0
    /// Whether days have changed that the proof does not list one by one.
    public var haveEarlierChanged = false

    public static let limit = 1_000

    public init() {}

    /// Reads versions, and the journals of changed days.
    ///
    /// - Parameter recount: Has the ranges that are counted now: an open range may have grown.
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
    /// `nil` for a minute without a known change.
    init?(_ history: BucketHistory, since version: Int64?, asOf: Timestamp) {
        let changes: [BucketChange]
        if let version {
            guard history.version != version else { return nil }
            changes = history.changes.filter { $0.to > version }
        } else {
            changes = history.changes.filter { $0.until >= asOf }
            guard !changes.isEmpty || !history.causes.isEmpty else { return nil }
        }
        // Marks that are not counted yet, and the first mark, are not in the journal.
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
