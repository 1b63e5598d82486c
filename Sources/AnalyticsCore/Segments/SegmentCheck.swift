internal import Algorithms
internal import Crypto

/// Compares segments with their events.
public struct SegmentCheck: Sendable {
    public struct Report: Sendable, Equatable {
        public var days = 0
        public var events: Int64 = 0
        /// Minutes whose events have changed since they were read; not compared.
        public var stale = 0
        /// Minutes in which a segment differs from the events.
        public var differences: [BucketKey] = []

        public init() {}
    }

    private let store: any RollupStore & ProjectStore & EventScanner & SegmentStore

    public init(store: any RollupStore & ProjectStore & EventScanner & SegmentStore) {
        self.store = store
    }

    /// Compares every day with a segment in every project.
    public func run() async throws -> Report {
        var report = Report()
        for project in try await store.projects() {
            let days = try await store.versions(.day, project: project, in: [RollupTier.day.allIndexes])
            for day in days.keys.sorted() { try await compare(project, day, &report) }
        }
        return report
    }

    /// Reads versions and the head, then rows and events, then versions again: minutes marked in between are not compared. The
    /// watermark is read last.
    private func compare(_ project: ProjectID, _ day: Int64, _ report: inout Report) async throws {
        guard let stored = try await store.segmentHeads(of: project, days: [day..<day + 1]).first else { return }
        report.days += 1
        let first = day * Int64(SegmentHead.minutesInDay)
        let head: SegmentHead
        do {
            head = try SegmentHead(day: day, encoded: stored.bytes)
        } catch {
            report.differences.append(BucketKey(project: project, index: first))
            return
        }
        let before = try await store.minuteVersions(of: project, day: day)
        let fields = head.builds.first?.fields ?? SegmentFields.standard
        var rows: [Int64]
        do {
            rows = try await digests(ofSegment: head, project, fields)
        } catch is UnreadableRun {
            // Replaced in the meantime, or damaged.
            guard try await store.segmentHeads(of: project, days: [day..<day + 1]).first == stored else { return }
            rows = Array(repeating: -1, count: SegmentHead.minutesInDay)
        }
        let range = Timestamp(day: day)..<Timestamp(day: day + 1)
        var events = try await store.scanEvents(
            Selection(project: project), in: [range], reading: fields.compactMap(\.path),
            into: ScannedRows(RowDigests(fields: fields, isByActor: false)))
        try events.finish()
        var minutes = events.reducer.minutes
        let links = try await store.scanEvents(
            Selection(project: project, types: [IdentityLink.eventType]), in: [range], reading: [], into: AllLinks()
        ).links
        for link in IdentityLink.decisive(links) { minutes[link.minute] &+= link.digest }
        let after = try await store.minuteVersions(of: project, day: day)
        let oldest = ProjectRecords(try await store.newestRecords(of: [project])).firstWholeMinute(of: project)
        for minute in 0..<SegmentHead.minutesInDay {
            let isOld = first + Int64(minute) < oldest
            let run = Int(head.runs[minute])
            let isTold = run >= 0 ? head.builds[run].fields == fields : run == SegmentHead.noRun
            if before[minute] != after[minute] || after[minute] != head.versions[minute] || isOld || !isTold {
                if !isOld, after[minute] != 0 { report.stale += 1 }
            } else if rows[minute] != minutes[minute] {
                report.differences.append(BucketKey(project: project, index: first + Int64(minute)))
            }
        }
        report.events += events.reducer.count
    }

    private func digests(ofSegment head: SegmentHead, _ project: ProjectID, _ fields: [RowField]) async throws -> [Int64] {
        var plan = SegmentPlan(Timestamp(day: head.day)..<Timestamp(day: head.day + 1), fields: fields)
        plan.add(day: head.day, version: head.dayVersion, head: head, minutes: [])
        var merge = RowMerge(
            store: store, project: project, filter: .everything, identities: .empty,
            reducer: ScannedRows(RowDigests(fields: fields, isByActor: true)))
        try await merge.readByActor(plan.sources)
        var minutes = merge.reducer.minutes
        for link in IdentityLink.decisive(try await store.links(of: project, plan.sources)[head.day] ?? []) {
            minutes[link.minute] &+= link.digest
        }
        return minutes
    }
}

private struct AllLinks: EventScanReducer {
    private(set) var links: [IdentityLink] = []

    mutating func add(_ event: ScannedEvent) -> Bool {
        if let link = IdentityLink(event) { links.append(link) }
        return true
    }
}

extension IdentityLink {
    fileprivate var digest: Int64 { Int64(bitPattern: (anonymous.low ^ UInt64(time)) &* (ActorKey(.user, user.text).low | 1)) }
}

/// A sum per minute that depends on every row, but not on their order.
private struct RowDigests: RowReducer {
    let fields: [RowField]
    let isByActor: Bool
    private(set) var minutes = [Int64](repeating: 0, count: SegmentHead.minutesInDay)
    private(set) var count: Int64 = 0
    private var slots: [EventRows?] = []

    init(fields: [RowField], isByActor: Bool) {
        self.fields = fields
        self.isByActor = isByActor
    }

    var needsTimes: Bool { true }

    mutating func load(_ rows: EventRows, slot: Int) {
        while slots.count <= slot { slots.append(nil) }
        slots[slot] = rows
    }

    mutating func begin(isUser: Bool) {}
    mutating func end() {}

    mutating func add(slot: Int, _ range: Range<Int>) {
        guard let rows = slots[slot] else { return }
        for row in range {
            let actor = rows.actors[rows.starts.partitioningIndex { $0 > Int32(row) } - 1]
            let digest = digest128 { hash in
                withUnsafeBytes(of: (actor.high, actor.low, rows.times[row])) { hash.update(bufferPointer: $0) }
                for column in rows.columns {
                    let entry = column.entries[column.code(of: row)]
                    entry.withUnsafeBytes { hash.update(field: $0) }
                }
            }
            minutes[Int(rows.times[row] / 60_000)] &+= Int64(bitPattern: digest.high)
            count += 1
        }
    }

    func check() {}
    func answer() -> [Int64] { minutes }
}
