/// Writes the tables of receipt of buckets that an earlier version of the service counted: of minutes from their events, of hours and days
/// from their finer buckets (docs/decisions/usage.md). Groups and versions do not change.
///
/// Events must not be deleted before: afterwards it is not known when they were received. May run in several processes, and again after an
/// interruption.
struct ReceivedFill: Sendable {
    let store: any RollupStore & ProjectStore
    /// Between two counts.
    var pause: Duration = .zero
    var elapsed = ElapsedClock.system
    /// Minutes and events per count, so that each ends well within a store's time limit.
    var minutesAtATime = 60
    var eventsAtATime: Int64 = 100_000

    /// Days or hours per read.
    private static let bucketsAtATime: Int64 = 16_000

    /// What was done.
    struct Filled: Sendable, Equatable {
        /// Minutes written.
        var minutes = 0
        /// Counts of events.
        var counts = 0
    }

    /// Fills everything. Returns the number of minutes written.
    func run() async throws -> Int {
        var count = 0
        for project in try await store.projects() {
            for day in try await days(of: project) { count += try await fill(day, of: project).minutes }
        }
        return count
    }

    /// Days of this time without a table of receipt, and marked ones: these may have finer buckets without one.
    func days(of project: ProjectID, from: Timestamp? = nil, to: Timestamp? = nil) async throws -> [Int64] {
        guard let extent = try await store.extent(project: project) else { return [] }
        var days = extent.days
        if let from { days = days.clamped(to: from.day..<Int64.max) }
        if let to { days = days.clamped(to: Int64.min..<(to - .milliseconds(1)).day + 1) }
        return try await lacking(.day, project, [days]).map(\.key.index)
    }

    /// Fills one day.
    func fill(_ day: Int64, of project: ProjectID) async throws -> Filled {
        let days = try await lacking(.day, project, [day..<day + 1])
        guard !days.isEmpty else { return Filled() }
        let hours = try await lacking(.hour, project, [day..<day + 1].scaled(by: RollupTier.day.parts))
        let filled = try await fillMinutes(of: project, coalesce(hours.map(\.key.index)).scaled(by: RollupTier.hour.parts))
        try await fillSums(.hour, of: project, hours)
        try await fillSums(.day, of: project, days)
        return filled
    }

    private func lacking(_ tier: RollupTier, _ project: ProjectID, _ ranges: [Range<Int64>]) async throws -> [Rollup] {
        var lacking: [Rollup] = []
        for ranges in slices(ranges, length: Self.bucketsAtATime) {
            try Task.checkCancellation()
            try await store.eachRollupPage(tier, project: project, in: ranges, content: .received) { page in
                lacking += page.filter { $0.dirty || $0.received == nil }
            }
        }
        return lacking
    }

    private func fillMinutes(of project: ProjectID, _ ranges: [Range<Int64>]) async throws -> Filled {
        var filled = Filled()
        try await store.eachRollupPage(.minute, project: project, in: ranges, content: .all) { page in
            var rest = page.filter { $0.received == nil }[...]
            var length = minutesAtATime
            while !rest.isEmpty {
                try Task.checkCancellation()
                let piece = rest.prefix(length)
                filled.counts += 1
                let counted: ReceivedCounts
                do throws(StoreError) {
                    counted = try await store.countEvents(
                        Selection(project: project), in: coalesce(piece.map(\.key.index)).map(\.times),
                        into: ReceivedCounts(limit: eventsAtATime))
                } catch {
                    guard error.code == .timedOut, piece.count > 1 else { throw error }
                    length = piece.count / 2
                    continue
                }
                let whole = piece.prefix { $0.key.index < counted.next ?? .max }
                filled.minutes += try await write(Array(whole), counted, of: project)
                rest = rest.dropFirst(whole.count)
                length = min(length * 2, minutesAtATime)
                if pause > .zero { try await elapsed.sleep(pause) }
            }
        }
        return filled
    }

    private func write(_ minutes: [Rollup], _ counted: ReceivedCounts, of project: ProjectID) async throws -> Int {
        // Read after the events: anything deleted before the count lies below this watermark.
        let first = ProjectRecords(try await store.newestRecords(of: [project])).firstWholeMinute(of: project)
        let filled = minutes.compactMap { minute in
            Self.filled(minute, counted.sums(in: minute.key.index), isWhole: minute.key.index >= first)
        }
        try await store.fillReceived(.minute, filled)
        return filled.count
    }

    /// The events of a minute count on its own day if some of them are deleted. `nil` if it is not known how many there were, or when they
    /// were received.
    private static func filled(_ minute: Rollup, _ counted: ReceivedSums?, isWhole: Bool) -> Rollup? {
        var (minute, sums) = (minute, counted)
        if !isWhole {
            guard let total = try? minute.table.total() else { return nil }
            if sums?.total != total {
                var own = ReceivedSums()
                own.add(total, on: Timestamp(minute: minute.key.index).day)
                sums = own
            }
        }
        minute.received = sums?.table
        return minute.received == nil ? nil : minute
    }

    private func fillSums(_ tier: RollupTier, of project: ProjectID, _ buckets: [Rollup]) async throws {
        let lacking = buckets.filter { $0.received == nil }
        var pending = Dictionary(uniqueKeysWithValues: lacking.map { ($0.key.index, $0) })
        var filled: [Rollup] = []
        func fill(_ bucket: Rollup, _ received: ReceivedTable) {
            var bucket = bucket
            bucket.received = received
            filled.append(bucket)
        }
        let ranges = coalesce(lacking.map(\.key.index))
        try await BucketSums.each(tier, of: project, in: ranges, from: store, content: .received) { index, sum in
            guard let bucket = pending.removeValue(forKey: index), case .table(_, let received?) = sum else { return }
            fill(bucket, received)
        }
        // Buckets without finer buckets.
        for bucket in pending.values { fill(bucket, .empty) }
        try await store.fillReceived(tier, filled)
    }
}

/// Counts the events of minutes by the day of their receipt. Takes no more minutes beyond `limit` events.
private struct ReceivedCounts: CountReducer {
    /// The first minute that was not counted; `nil` if all were.
    private(set) var next: Int64?
    private var minutes: [Int64: ReceivedSums] = [:]
    /// Minutes with an event whose time of receipt cannot be read.
    private var unknown: Set<Int64> = []
    private var minute: Int64?
    private var events: Int64 = 0

    private let limit: Int64

    init(limit: Int64) {
        self.limit = limit
    }

    var isByReceipt: Bool { true }

    func sums(in minute: Int64) -> ReceivedSums? { unknown.contains(minute) ? nil : minutes[minute] ?? ReceivedSums() }

    mutating func add(_ row: EventCount) -> Bool {
        if row.minute != minute {
            guard events < limit else {
                next = row.minute
                return false
            }
            minute = row.minute
        }
        events &+= row.count
        if let day = row.received {
            minutes[row.minute, default: ReceivedSums()].add(row.count, on: day)
        } else {
            unknown.insert(row.minute)
        }
        return true
    }

    mutating func finish() {}
}
