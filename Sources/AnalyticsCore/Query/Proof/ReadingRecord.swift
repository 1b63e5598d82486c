internal import Algorithms
internal import Crypto
internal import Synchronization

/// What an answer is read from. A reader that has one writes down each bucket, segment and range of events that it takes.
///
/// Versions are noted before anything is read, as for the cache: the answer holds at least what they stand for.
public final class ReadingRecord: Sendable {
    /// How a bucket was read.
    enum Way: String, Sendable {
        case rollup
        /// It was marked, or did not tell its groups: what is finer was read.
        case finer
        /// Counted from its events.
        case events
        /// A marked minute that was counted for an earlier question, at the same version.
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
        /// Days beyond those in ``days``: ranges may share them.
        var earlierDays: Set<Int64> = []
        var earlier = Proof.EarlierDays()
        var minuteBytes = 0
        var identities: Int64?
        var entries: [Entry] = []
        /// By tier and way, or kind.
        var counts: [String: Int] = [:]
        /// Of the entries that are not kept.
        var rest = SHA256()
        var restCount = 0
    }

    private let mutex = Mutex(State())

    /// Entries that a proof lists.
    static let entryLimit = 600
    /// Days that a proof lists, the newest.
    static let dayLimit = 400
    /// Bytes of minutes' versions in a proof: of some 80 days where each minute has events.
    static let minuteBytes = 120 << 10
    /// Days whose minutes' versions are read at a time.
    private static let daysAtATime = 8

    public init() {}

    var state: State { mutex.withLock { $0 } }

    // MARK: Versions

    /// Notes the versions of what a range touches. Of a question that reads several times over the same days the first ones count.
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

    // MARK: What is read

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
