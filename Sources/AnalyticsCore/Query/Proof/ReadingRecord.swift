internal import Algorithms
internal import Crypto
internal import Synchronization

/// Records what an answer is read from: each bucket, segment and range of events.
///
/// Versions are recorded before the data is read, as for the cache: the answer holds at least every event of these versions.
public final class ReadingRecord: Sendable {
    /// How a bucket was read.
    enum Way: String, Sendable {
        case rollup
        /// The bucket was marked, or its table did not have the groups: finer buckets were read.
        case finer
        /// Counted from its events.
        case events
        /// A marked minute, counted for an earlier question at the same version.
        case cache
    }

    enum Entry: Sendable, Equatable {
        case bucket(RollupTier, index: Int64, version: Int64, done: Int64, Way)
        case segment(day: Int64, run: Int64, rows: Int)
        case events(Range<Timestamp>)
    }

    struct State: Sendable {
        /// The ranges of the questions.
        var ranges: [Range<Timestamp>] = []
        var days: [Int64: ProofDay] = [:]
        /// Days that are not in ``days``. A set, since ranges may overlap.
        var earlierDays: Set<Int64> = []
        var earlier = Proof.EarlierDays()
        var minuteBytes = 0
        var identities: Int64?
        var entries: [Entry] = []
        /// Entries by tier and way, or by kind.
        var counts: [String: Int] = [:]
        /// The digest of the entries beyond the limit.
        var rest = SHA256()
        var restCount = 0
    }

    private let mutex = Mutex(State())

    /// Maximum number of entries that a proof lists.
    static let entryLimit = 600
    /// Maximum number of days that a proof lists; the newest are kept.
    static let dayLimit = 400
    /// Maximum bytes of minute versions in a proof: about 80 days with events in each minute.
    static let minuteBytes = 120 << 10
    /// Days per read of minute versions.
    private static let daysAtATime = 8

    public init() {}

    var state: State { mutex.withLock { $0 } }

    // MARK: Versions

    /// Records the versions of the days and minutes that a range touches. If a question reads a day several times, the first version
    /// counts.
    func begin(_ range: Range<Timestamp>, of project: ProjectID, in store: any RollupStore) async throws {
        guard !state.ranges.contains(range) else { return }
        let versions = try await store.versions(.day, project: project, in: [range.days])
        let before = state
        let unknown = versions.keys.filter { before.days[$0] == nil && !before.earlierDays.contains($0) }.sorted()
        let listed = unknown.suffix(max(0, Self.dayLimit - before.days.count))
        mutex.withLock { state in
            state.ranges.append(range)
            for day in unknown.dropLast(listed.count) where state.earlierDays.insert(day).inserted { state.earlier.add(versions[day] ?? 0) }
            for day in listed { state.days[day] = ProofDay(day: day, version: versions[day] ?? 0) }
        }
        for days in Array(listed.reversed()).chunks(ofCount: Self.daysAtATime) where state.minuteBytes < Self.minuteBytes {
            let length = Int64(SegmentHead.minutesInDay)
            let minutes = try await store.versions(.minute, project: project, in: coalesce(days.sorted()).scaled(by: length))
            mutex.withLock { state in
                for day in days {
                    let own = (0..<length).map { minutes[day * length + $0] ?? 0 }
                    state.minuteBytes += ProofDay.encoded(own).count
                    if state.minuteBytes <= Self.minuteBytes { state.days[day]?.minutes = own }
                }
            }
        }
    }

    func add(_ range: Range<Timestamp>) { mutex.withLock { $0.ranges.append(range) } }

    func add(identities digest: Int64) { mutex.withLock { $0.identities = digest } }

    // MARK: Entries

    func add(_ rollup: Rollup, _ tier: RollupTier, _ way: Way) {
        add(.bucket(tier, index: rollup.key.index, version: rollup.version, done: rollup.done, way), as: "\(tier.rawValue).\(way.rawValue)")
    }

    func add(events ranges: [Range<Timestamp>]) {
        for range in ranges { add(.events(range), as: "events") }
    }

    func add(_ source: SegmentPlan.Source) {
        add(.segment(day: source.day, run: source.run.id, rows: source.run.rows), as: "segment")
    }

    private func add(_ entry: Entry, as kind: String) {
        mutex.withLock { state in
            state.counts[kind, default: 0] += 1
            if state.entries.count < Self.entryLimit {
                state.entries.append(entry)
            } else {
                state.rest.update(field: "\(entry)")
                state.restCount += 1
            }
        }
    }
}
