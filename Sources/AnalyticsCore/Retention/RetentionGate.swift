/// Keeps a flush from storing events in closed time, and from acknowledging events whose time was closed while it stored them.
///
/// A sweeper closes time first and then looks for marked minutes; a flush marks its minutes first and then looks for closed time. At least
/// one of the two sees the other, so every acknowledged event is either counted or dead-lettered (docs/decisions/retention.md).
struct RetentionGate: Sendable {
    let store: any RollupStore & ProjectStore
    let firstRetentionDays: Int
    let clock: WallClock
    var elapsed = ElapsedClock.system

    /// To be called before the insert. Writes the first retention of new projects.
    func admit(_ events: [StoredEvent]) async throws(StoreError) -> Admission {
        let projects = Array(Set(events.map(\.event.project)))
        let records = ProjectRecords(try await store.newestRecords(of: projects))
        for project in projects where records[project]?.retentionDays == nil {
            try await store.createRecord(of: project, retentionDays: firstRetentionDays, at: clock.now())
        }
        return Admission(events, records)
    }

    /// To be called after the marks. Sets ``InsertOutcome/expired(before:)`` for events stored in a minute that was closed meanwhile and
    /// will not be counted. Waits until each such minute is counted or below the watermark.
    ///
    /// - Parameter records: Read after the marks.
    func confirm(
        _ events: [StoredEvent], _ outcomes: [InsertOutcome], by records: ProjectRecords
    ) async throws(StoreError) -> [InsertOutcome] {
        var (outcomes, records) = (outcomes, records)
        let projects = Array(Set(events.map(\.event.project)))
        var pending = events.indices.filter { outcomes[$0].isWritten && events[$0].isClosed(by: records) }
        var backoff = Backoff()
        while !pending.isEmpty {
            var buckets = try await self.buckets(of: pending.map { events[$0] })
            records = ProjectRecords(try await store.newestRecords(of: projects))
            let isCut = pending.contains { events[$0].minute.index < records.firstWholeMinute(of: events[$0].event.project) }
            // A minute may have been counted between the two reads.
            if isCut { buckets = try await self.buckets(of: pending.map { events[$0] }) }
            pending = pending.filter { index in
                let minute = events[index].minute
                switch Self.fate(of: minute, buckets[minute], records[minute.project]) {
                case .counted: return false
                case .pending: return true
                case .expired(let watermark):
                    outcomes[index] = .expired(before: watermark)
                    return false
                }
            }
            if !pending.isEmpty, (try? await elapsed.sleep(backoff.next())) == nil {
                throw StoreError(.unavailable, operation: "confirm", "cancelled")
            }
        }
        return outcomes
    }

    enum Fate: Equatable {
        case counted
        case pending
        case expired(before: Timestamp)
    }

    /// The fate of events that were marked before their minute's bucket was read. A bucket whose latest version is counted contains them. A
    /// bucket below the watermark that is not counted never will.
    static func fate(of minute: BucketKey, _ bucket: BucketVersion?, _ record: ProjectRecord?) -> Fate {
        if let bucket, bucket.done == bucket.version { return .counted }
        guard let watermark = record?.watermark, let record, minute.index < record.firstWholeMinute else { return .pending }
        return .expired(before: watermark)
    }

    private func buckets(of events: [StoredEvent]) async throws(StoreError) -> [BucketKey: BucketVersion] {
        var buckets: [BucketKey: BucketVersion] = [:]
        for (project, own) in Dictionary(grouping: Set(events.map(\.minute)), by: \.project) {
            var ranges = coalesce(own.map(\.index).sorted())
            while !ranges.isEmpty {
                let page = try await store.rollups(.minute, project: project, in: ranges, byteLimit: RollupPage.byteLimit)
                for bucket in page.rollups { buckets[bucket.key] = BucketVersion(bucket) }
                ranges = page.next.map(ranges.from) ?? []
            }
        }
        return buckets
    }
}

/// The events of a flush, without those whose time is closed or that are erased.
struct Admission: Sendable {
    /// The events to insert, in order.
    private(set) var open: [StoredEvent] = []
    let records: ProjectRecords
    private let events: [StoredEvent]
    private var erased: Set<Int> = []
    /// Per event the moment before which its project accepts none; `nil` for open events.
    private var closed: [Timestamp?]

    init(_ events: [StoredEvent], _ records: ProjectRecords) {
        self.events = events
        self.records = records
        closed = events.map { $0.isClosed(by: records) ? records[$0.event.project]?.closedBefore : nil }
        open = zip(events, closed).filter { $1 == nil }.map(\.0)
    }

    /// Excludes the events at these indexes, which are erased.
    mutating func withhold(_ places: Set<Int>) {
        guard !places.isEmpty else { return }
        erased = places
        open = events.indices.filter { closed[$0] == nil && !erased.contains($0) }.map { events[$0] }
    }

    /// The outcomes of all events, given those of the open ones.
    func outcomes(_ inserted: [InsertOutcome]) -> [InsertOutcome] {
        var inserted = inserted[...]
        return closed.enumerated().map { place, closed in
            if erased.contains(place) { return .erased }
            return closed.map { .expired(before: $0) } ?? inserted.removeFirst()
        }
    }
}

extension StoredEvent {
    fileprivate var minute: BucketKey { BucketKey(project: event.project, index: event.timestamp.minute) }

    fileprivate func isClosed(by records: ProjectRecords) -> Bool {
        event.timestamp.minute < records[event.project]?.firstOpenMinute ?? .min
    }
}

extension InsertOutcome {
    /// Whether this event is stored under its own timestamp.
    fileprivate var isWritten: Bool {
        switch self {
        case .stored, .redelivered: true
        case .duplicate, .conflict, .refused, .expired, .erased: false
        }
    }
}
