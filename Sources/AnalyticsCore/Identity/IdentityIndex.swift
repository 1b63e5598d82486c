internal import CoreMetrics

/// Knows which anonymous ids belong to which users, for each project as its events say now.
///
/// Links are kept in segments, day by day, and are valid as the rows of segments are: what has changed is read from the events. A day that has
/// not changed since it was read is not read again.
actor IdentityIndex {
    private let store: any RollupStore & EventScanner & SegmentStore
    private var projects: [ProjectID: Known] = [:]

    private struct Known {
        /// The sum of all days' versions, for which the map is right.
        var generation: Int64
        var map: IdentityMap
        var days: [Int64: Day]
    }

    private struct Day {
        var version: Int64
        var revision: Int64
        var links: [IdentityLink]
    }

    /// Projects whose links are remembered.
    private static let limit = 100
    /// Links of one project at the most: beyond, questions about its users are refused.
    static let linkLimit = 2_000_000

    init(store: any RollupStore & EventScanner & SegmentStore) {
        self.store = store
    }

    func map(of project: ProjectID) async throws -> IdentityMap {
        let all = RollupTier.day.indexes.lowerBound..<RollupTier.day.indexes.upperBound + 1
        let generation = try await store.generation(project: project, days: all)
        let known = projects[project]
        if let known, known.generation == generation { return known.map }
        let versions = try await store.versions(.day, project: project, in: [all])
        let revisions = try await store.segmentRevisions(of: project)
        var days: [Int64: Day] = [:]
        var hasChanged = known == nil || known?.days.keys.contains { versions[$0] == nil } == true
        for (day, version) in versions.sorted(by: { $0.key < $1.key }) {
            let revision = revisions[day] ?? 0
            let before = known?.days[day]
            if let before, before.version == version, before.revision == revision {
                days[day] = before
                continue
            }
            try Task.checkCancellation()
            let links = try await links(of: project, day, version)
            days[day] = Day(version: version, revision: revision, links: links)
            hasChanged = hasChanged || links != before?.links ?? []
        }
        guard days.values.reduce(0, { $0 + $1.links.count }) <= Self.linkLimit else { throw QueryTooLargeError(.tooManyKeys) }
        let map = hasChanged ? IdentityMap(days.map { ($0.key, $0.value.links) }) : known?.map ?? .empty
        if projects.count >= Self.limit, projects[project] == nil { projects.removeAll() }
        projects[project] = Known(generation: generation, map: map, days: days)
        return map
    }

    private func links(of project: ProjectID, _ day: Int64, _ version: Int64) async throws -> [IdentityLink] {
        let range = Timestamp(day: day)..<Timestamp(day: day + 1)
        for _ in 0..<3 {
            let stored = try await store.segmentHeads(of: project, days: [day..<day + 1]).first
            let head = stored.flatMap { try? SegmentHead(day: day, encoded: $0.bytes) }
            var minutes: [Int64] = []
            if let head, head.dayVersion != version { minutes = try await store.minuteVersions(of: project, day: day) }
            var plan = SegmentPlan(range, fields: [])
            plan.add(day: day, version: version, head: head, minutes: minutes)
            do {
                let told = try await store.links(of: project, plan.sources)
                let scanned = try await scan(plan.scans, project)
                return Set(told + scanned).sorted { ($0.time, $0.anonymous, $0.user) < ($1.time, $1.anonymous, $1.user) }
            } catch is MissingBlob {
                continue
            } catch is UnreadableRun {
                SegmentMetrics.unreadable.increment()
                break
            }
        }
        return try await scan([range], project)
    }

    private func scan(_ ranges: [Range<Timestamp>], _ project: ProjectID) async throws -> [IdentityLink] {
        guard !ranges.isEmpty else { return [] }
        let selection = Selection(project: project, types: [IdentityLink.eventType])
        return try await store.scanEvents(selection, in: ranges, reading: [], into: LinkCollector()).links
    }
}

extension SegmentStore {
    /// The links of the minutes of runs that are wanted.
    func links(of project: ProjectID, _ sources: [SegmentPlan.Source]) async throws -> [IdentityLink] {
        var links: [IdentityLink] = []
        for source in sources where source.run.links > 0 {
            let key = SegmentBlob.Key(project: project, day: source.day, run: source.run.id, chunk: 0, part: .links)
            guard let blob = try await segmentBlobs([key])[0] else { throw MissingBlob() }
            do {
                let all = try IdentityLink.decode(blob)
                links += source.minutes.map { minutes in all.filter { minutes[$0.minute] } } ?? all
            } catch {
                throw UnreadableRun(run: source.run.id)
            }
        }
        return links
    }
}

/// Takes the links of events.
struct LinkCollector: EventScanReducer {
    private(set) var links: [IdentityLink] = []

    mutating func add(_ event: ScannedEvent) -> Bool {
        if let link = IdentityLink(event) { links.append(link) }
        return links.count <= IdentityIndex.linkLimit
    }
}
