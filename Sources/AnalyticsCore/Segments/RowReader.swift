internal import AnalyticsJSON
internal import CoreMetrics

/// Reads the selected events of a range as rows for a reducer: from segments, and from the events if no segment has their current version.
///
/// Versions are read first, then heads, then blobs and events, so the answer has every event marked before the question. A run that
/// is deleted in between has been replaced, and the heads are read again (docs/decisions/segments.md).
struct RowReader: Sendable {
    let store: any RollupStore & ProjectStore & EventScanner & SegmentStore
    let selection: Selection
    let range: Range<Timestamp>
    /// Used by reducers by actor.
    let identities: IdentityMap
    var source = AnswerSource.stored
    /// The actors whose events are read; `nil` for all.
    var actors: Set<ActorKey>?
    /// `nil`: everything that is not in segments is read from the events.
    var liveMinutes: LiveMinutes?

    /// Days per read of versions and heads.
    private static let daysAtATime: Int64 = 400
    /// Maximum number of reads of the heads before everything is read from the events.
    private static let attempts = 8

    func read<Reducer: RowReducer>(into reducer: Reducer) async throws -> Reducer {
        if source.isEvents { return try await recount(into: reducer) }
        var unreadable: Set<Int64> = []
        var missing: Set<Int64> = []
        for _ in 0..<Self.attempts {
            do {
                return try await read(unreadable, into: reducer)
            } catch let failure as UnreadableRun {
                // A missing run has been replaced, unless the next head still names it.
                if failure.isMissing, missing.insert(failure.run).inserted { continue }
                SegmentMetrics.unreadable.increment()
                unreadable.insert(failure.run)
            } catch is GroupTable.Unreadable {
                // Parts that can be read but do not match, such as names of other actors.
                SegmentMetrics.unreadable.increment()
                break
            }
        }
        return try await scan([range], into: reducer)
    }

    private func read<Reducer: RowReducer>(_ unreadable: Set<Int64>, into reducer: Reducer) async throws -> Reducer {
        guard let filter = RowFilter(selection, actors: actors), !reducer.fields.contains(.anonymousId) else {
            source.record?.add(events: [range])
            return try await scan([range], into: reducer)
        }
        let plan = try await plan(fields: reducer.fields + filter.fields, unreadable)
        let live = try await readLive(plan, reducer.fields, filter)
        let scanned: ScannedRows<Reducer> = try await scan(plan.scans(without: live.minutes), into: reducer)
        await note(scanned.large, plan)
        var merge = RowMerge(
            store: store, project: selection.project, filter: filter, identities: identities, reducer: scanned, live: live.rows)
        if reducer.isByActor {
            try await merge.readByActor(plan.sources)
        } else {
            try await merge.readAll(plan.sources)
        }
        for run in plan.sources { source.record?.add(run) }
        source.record?.add(events: plan.scans)
        return merge.reducer
    }

    private func plan(fields: [RowField], _ unreadable: Set<Int64>) async throws -> SegmentPlan {
        var plan = SegmentPlan(range, fields: fields, unreadable: unreadable)
        let last = Timestamp(milliseconds: range.upperBound.milliseconds - 1).day
        var days = [range.lowerBound.day..<last + 1][...]
        while let slice = days.popSlice(length: Self.daysAtATime) {
            try Task.checkCancellation()
            let versions = try await store.versions(.day, project: selection.project, in: slice)
            try await plan.add(versions, of: selection.project, from: store)
        }
        return plan
    }

    // MARK: Live minutes

    /// Approximate bytes of rows, beyond which further minutes are read from their events.
    private static let liveLimit = 48 << 20

    /// The selected rows of kept minutes, with the reducer's columns, and these minutes.
    private func readLive(
        _ plan: SegmentPlan, _ fields: [RowField], _ filter: RowFilter
    ) async throws -> (rows: [EventRows], minutes: Set<Int64>) {
        var (rows, minutes): ([EventRows], Set<Int64>) = ([], [])
        guard let liveMinutes, case .stored = source, plan.stale.count <= LiveMinutes.minutesAtATime else { return (rows, minutes) }
        var size = 0
        for (minute, version) in plan.stale where size < Self.liveLimit {
            let key = BucketKey(project: selection.project, index: minute)
            guard let pieces = try await liveMinutes.rows(of: key, fields + filter.fields, version: version) else { continue }
            minutes.insert(minute)
            let whole = (minute..<minute + 1).times
            let (part, day) = (whole.clamped(to: range), Timestamp(day: whole.lowerBound.day).milliseconds)
            let times = part == whole ? nil : UInt32(part.lowerBound.milliseconds - day)..<UInt32(part.upperBound.milliseconds - day)
            for piece in pieces {
                rows.append(try filter.apply(to: piece, columns: fields.count, times: times))
                size += rows[rows.count - 1].size
            }
        }
        return (rows, minutes)
    }

    private func note(_ large: [Int64], _ plan: SegmentPlan) async {
        guard let liveMinutes, !large.isEmpty else { return }
        let stale = Set(plan.stale.map(\.minute))
        await liveMinutes.note(large.filter(stale.contains).map { BucketKey(project: selection.project, index: $0) })
    }

    // MARK: Events

    /// Passes scanned rows to the reducer. A reducer by actor needs them together with the segments' rows, so they are kept.
    private func scan<Reducer: RowReducer>(
        _ ranges: [Range<Timestamp>], of share: ActorShare? = nil, into reducer: Reducer
    ) async throws -> ScannedRows<Reducer> {
        let collector = ScannedRows(reducer, of: share, actors, large: liveMinutes?.worthKeeping ?? .max)
        guard !ranges.isEmpty else { return collector }
        var scanned = try await store.scanEvents(
            selection, in: ranges, reading: reducer.fields.compactMap(\.path), into: collector)
        try scanned.finish()
        return scanned
    }

    private func scan<Reducer: RowReducer>(
        _ ranges: [Range<Timestamp>], of share: ActorShare? = nil, into reducer: Reducer
    ) async throws -> Reducer {
        var merge = RowMerge(
            store: store, project: selection.project, filter: .everything, identities: identities,
            reducer: try await scan(ranges, of: share, into: reducer)
        )
        if reducer.isByActor { try await merge.readByActor([]) }
        return merge.reducer
    }

    /// Reads from the events alone, without a limit on their number. By actor it takes several passes, each over a share of the actors.
    func recount<Reducer: RowReducer>(into reducer: Reducer, shares: UInt64 = 1) async throws -> Reducer {
        guard reducer.isByActor else { return try await scan([range], into: reducer) }
        var shares = shares
        while true {
            do {
                var current = reducer
                for share in 0..<shares {
                    let share = shares == 1 ? nil : ActorShare(number: share, of: shares, identities: identities)
                    current = try await scan([range], of: share, into: current)
                }
                return current
            } catch let error as QueryTooLargeError where error.reason == .tooManyEvents && shares < Self.longestRecount {
                shares *= 4
            }
        }
    }

    /// Maximum number of passes of a recount.
    private static let longestRecount: UInt64 = 1_024
}

/// A share of the actors; joined actors are in the same share.
struct ActorShare: Sendable {
    private let number: UInt64
    private let count: UInt64
    private let identities: IdentityMap

    init(number: UInt64, of count: UInt64, identities: IdentityMap) {
        (self.number, self.count, self.identities) = (number, count, identities)
    }

    func holds(_ event: ScannedEvent) -> Bool {
        identities.actor(ActorName(event)?.key ?? .none).low % count == number
    }
}

/// A run with damaged bytes or a missing blob. A missing blob means that the run was replaced, or that the blob is lost.
struct UnreadableRun: Error {
    var run: Int64
    var isMissing = false
}

extension SegmentPlan {
    /// Adds days of these versions, which the caller has read before. A head that cannot be read counts as none.
    mutating func add(
        _ versions: [Int64: Int64], of project: ProjectID, from store: any RollupStore & SegmentStore
    ) async throws {
        let days = versions.keys.sorted()
        var heads: [Int64: SegmentHead] = [:]
        for stored in try await store.segmentHeads(of: project, days: coalesce(days)) {
            do throws(GroupTable.Unreadable) {
                heads[stored.day] = try SegmentHead(day: stored.day, encoded: stored.bytes)
            } catch {
                SegmentMetrics.unreadable.increment()
            }
        }
        for day in days {
            guard let version = versions[day] else { continue }
            let head = heads[day]
            var minutes: [Int64] = []
            // Of the days without a segment, only the last may be the present day, for which minute versions can help.
            if head.map({ $0.dayVersion != version }) ?? (day == days.last) {
                minutes = try await store.minuteVersions(of: project, day: day)
            }
            add(day: day, version: version, head: head, minutes: minutes)
        }
    }
}

extension RollupStore {
    /// The version of each minute of a day; 0 if it has none.
    func minuteVersions(of project: ProjectID, day: Int64) async throws(StoreError) -> [Int64] {
        let first = day * Int64(SegmentHead.minutesInDay)
        let versions = try await versions(.minute, project: project, in: [first..<first + Int64(SegmentHead.minutesInDay)])
        return (0..<Int64(SegmentHead.minutesInDay)).map { versions[first + $0] ?? 0 }
    }
}

/// Makes rows of scanned events. A reducer for rows in any order gets them at once; for a reducer by actor they are kept.
struct ScannedRows<Reducer: RowReducer>: EventScanReducer {
    private(set) var reducer: Reducer
    private(set) var rows: [EventRows] = []
    private var builder: RowsBuilder?
    private var day: Int64?
    private var bytes = 0
    private var failure: (any Error)?
    /// Complete minutes of which more than `largeCount` events were read.
    private(set) var large: [Int64] = []
    private let largeCount: Int
    private var minute: (index: Int64, count: Int) = (0, 0)
    /// The actors whose events are taken; all if `nil`.
    private let share: ActorShare?
    private let actors: Set<ActorKey>?

    /// Rows passed on at a time.
    private static var rowsAtATime: Int { 16_384 }
    private static var bytesAtATime: Int { 8 << 20 }
    /// Maximum bytes of kept rows.
    static var byteLimit: Int { 64 << 20 }

    init(_ reducer: Reducer, of share: ActorShare? = nil, _ actors: Set<ActorKey>? = nil, large: Int = .max) {
        self.reducer = reducer
        largeCount = large
        self.share = share
        self.actors = actors
    }

    mutating func add(_ event: ScannedEvent) -> Bool {
        if let share, !share.holds(event) { return true }
        countMinute(event.timestamp.minute)
        if let actors, !actors.contains(ActorName(event)?.key ?? .none) { return true }
        if event.timestamp.day != day || (!reducer.isByActor && builder?.count ?? 0 >= Self.rowsAtATime) { close() }
        if builder == nil {
            day = event.timestamp.day
            builder = RowsBuilder(day: event.timestamp.day, fields: reducer.fields, hasNames: reducer.needsNames)
        }
        builder?.add(event)
        // An event may have 256 KiB.
        let size = builder?.size ?? 0
        if reducer.isByActor {
            if bytes + size > Self.byteLimit { failure = QueryTooLargeError(.tooManyEvents) }
        } else if size > Self.bytesAtATime {
            close()
        }
        return failure == nil
    }

    private mutating func countMinute(_ index: Int64) {
        if minute.index != index {
            if minute.count > largeCount { large.append(minute.index) }
            minute = (index, 0)
        }
        minute.count += 1
    }

    mutating func finish() throws {
        countMinute(.min)
        close()
        if let failure { throw failure }
    }

    private mutating func close() {
        guard let rows = builder?.rows(), failure == nil else { return }
        builder = nil
        do {
            if reducer.isByActor {
                self.rows.append(rows)
                bytes += rows.size
            } else {
                try reducer.load(rows, slot: 0)
                reducer.add(slot: 0, 0..<rows.count)
                try reducer.check()
            }
        } catch {
            failure = error
        }
    }
}
