/// Keeps the rows of large minutes whose events change, and reads again only the parts that have been marked since
/// (docs/decisions/live-minutes.md).
actor LiveMinutes {
    private struct Entry {
        var minute: LiveMinute
        var lastUse: ContinuousClock.Instant
    }

    private let store: any RollupStore & ProjectStore & EventScanner
    private let interest: LiveInterest
    /// Events beyond which a minute is kept.
    nonisolated let worthKeeping: Int
    private let inFlight = SingleFlight<BucketKey, LiveMinute?>()
    private var entries: [BucketKey: Entry] = [:]
    /// Minutes known to have many events.
    private var large: Set<BucketKey> = []
    /// Minutes that take too many bytes.
    private var tooLarge: Set<BucketKey> = []

    /// Maximum number of minutes of a question that are taken from here. If more have changed, the present minute is not the main cost.
    static let minutesAtATime = 16
    /// The default for events beyond which a minute is kept.
    static let worthKeeping = 2_000
    /// Approximate bytes of all rows.
    private static let byteLimit = 32 << 20
    /// Maximum bytes of one minute.
    private static let minuteLimit = 24 << 20
    /// Time without a question after which a minute is removed.
    private static let longestIdle: Duration = .seconds(600)
    /// Maximum number of entries in ``large``, and in ``tooLarge``.
    private static let knownLimit = 1_000
    /// Maximum number of reads of a minute for a question that has seen a newer version of it.
    private static let attempts = 4

    init(store: any RollupStore & ProjectStore & EventScanner, interest: LiveInterest, worthKeeping: Int = LiveMinutes.worthKeeping) {
        self.store = store
        self.interest = interest
        self.worthKeeping = worthKeeping
    }

    /// Records minutes of which a question has read many events.
    func note(_ minutes: [BucketKey]) {
        dropIdle()
        if large.count + minutes.count > Self.knownLimit { large.removeAll() }
        large.formUnion(minutes)
        large.subtract(tooLarge)
    }

    /// The rows of a minute with columns of these fields, at least as new as this version. `nil` if its events must be read.
    func rows(of key: BucketKey, _ fields: [RowField], version: Int64) async throws -> [EventRows]? {
        dropIdle()
        guard large.contains(key) else { return nil }
        for _ in 0..<Self.attempts {
            if let entry = entries[key], entry.minute.stamp.version >= version {
                entries[key]?.lastUse = .now
                return try rows(of: entry.minute, key, fields)
            }
            // A shared read may have begun before the version existed.
            let found = try await inFlight.value(for: key) { [self] in try await read(key) }
            guard let found else { return nil }
            if found.stamp.version >= version { return try rows(of: found, key, fields) }
        }
        return nil
    }

    private func rows(of minute: LiveMinute, _ key: BucketKey, _ fields: [RowField]) throws(GroupTable.Unreadable) -> [EventRows]? {
        let rows = try minute.rows(fields)
        if let rows, rows.reduce(0, { $0 + $1.count }) > worthKeeping { interest.note(key.project, .rows) }
        return rows
    }

    /// Updates changed minutes for projects with recent questions.
    func keepUp(_ minutes: Range<Int64>) async throws {
        for project in interest.projects(.rows) {
            for (minute, version) in try await store.versions(.minute, project: project, in: [minutes]) {
                let key = BucketKey(project: project, index: minute)
                guard !tooLarge.contains(key), entries[key].map({ $0.minute.stamp.version < version }) ?? true else { continue }
                // If the minute before had many events, this one will too.
                note([key])
                _ = try await inFlight.value(for: key) { [self] in try await read(key) }
            }
        }
    }

    private nonisolated func read(_ key: BucketKey) async throws -> LiveMinute? {
        // The stamp is read before the events: the events may be newer than it, never older.
        guard let stamp = try await store.minuteStamp(key) else { return nil }
        let fields = SegmentFields.all(of: try await store.newestRecords(of: [key.project]).first)
        let minute: LiveMinute?
        if let kept = await kept(key), kept.fields == fields, let parts = stamp.changes(since: kept.stamp)?.withoutSmallGaps {
            minute = try await read(parts, of: key, into: kept.without(parts, at: stamp))
        } else {
            minute = try await read(.all, of: key, into: LiveMinute(stamp: stamp, fields: fields))
        }
        if let minute { await keep(minute, key) } else { await giveUp(key) }
        return minute
    }

    private nonisolated func read(_ parts: MinuteParts, of key: BucketKey, into minute: LiveMinute) async throws -> LiveMinute? {
        guard !parts.isEmpty else { return minute }
        var collector = try await store.scanEvents(
            Selection(project: key.project), in: parts.ranges(of: key.index), reading: minute.fields.compactMap(\.path),
            into: LiveMinute.Collector(minute, day: Timestamp(minute: key.index).day, byteLimit: Self.minuteLimit))
        return collector.finish()
    }

    private func kept(_ key: BucketKey) -> LiveMinute? { entries[key]?.minute }

    private func keep(_ minute: LiveMinute, _ key: BucketKey) {
        if let entry = entries[key], entry.minute.stamp.version > minute.stamp.version { return }
        entries[key] = Entry(minute: minute, lastUse: .now)
        while entries.values.reduce(0, { $0 + $1.minute.size }) > Self.byteLimit,
            let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse })
        {
            entries[oldest.key] = nil
        }
    }

    private func dropIdle() {
        let now = ContinuousClock.now
        entries = entries.filter { now - $0.value.lastUse < Self.longestIdle }
    }

    private func giveUp(_ key: BucketKey) {
        entries[key] = nil
        large.remove(key)
        if tooLarge.count >= Self.knownLimit { tooLarge.removeAll() }
        tooLarge.insert(key)
    }
}
