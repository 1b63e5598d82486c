internal import CoreMetrics

/// Knows which anonymous ids belong to which users, per project, according to its current events.
///
/// Links are kept in segments by day and are valid as the rows of segments are: changed minutes are read from the events. A day that has
/// not changed since it was read is not read again.
actor IdentityIndex {
    private let store: any RollupStore & ProjectStore & EventScanner & SegmentStore
    private let gate: QueryGate
    /// Whether links are read from events only, without segments.
    private let isFromEvents: Bool
    private let inFlight = SingleFlight<State, Known>()
    private var projects: [ProjectID: Known] = [:]

    /// The state of a project for which a map is valid.
    fileprivate struct State: Sendable, Hashable {
        var project: ProjectID
        /// The sum of all days' versions.
        var generation: Int64
        /// Links before it are deleted or will be.
        var firstWholeMinute: Int64
    }

    fileprivate struct Known: Sendable {
        var state: State
        /// `nil` if there are too many links.
        var map: IdentityMap?
        var days: [Int64: Day]
        var links: Int
    }

    fileprivate struct Day: Sendable {
        var version: Int64
        var revision: Int64
        var links: [IdentityLink]
    }

    /// Anonymous ids per project, each counted once per day. Above it, questions about the project's users are refused.
    static let linkLimit = 2_000_000
    /// Cached links of all projects.
    private static let rememberedLinks = 4_000_000
    private static let rememberedProjects = 1_000
    /// Days whose heads are read in one call.
    private static let daysAtATime: Int64 = 400

    init(store: any RollupStore & ProjectStore & EventScanner & SegmentStore, gate: QueryGate, isFromEvents: Bool = false) {
        self.store = store
        self.gate = gate
        self.isFromEvents = isFromEvents
    }

    /// Throws a ``QueryTooLargeError`` if there are too many links, and the gate's errors.
    func map(of project: ProjectID, for asker: Asker) async throws -> IdentityMap {
        // Everything marked before the question is in these, so it is in the map.
        async let generation = store.generation(project: project, days: RollupTier.day.allIndexes)
        async let record = store.newestRecords(of: [project]).first
        let state = State(project: project, generation: try await generation, firstWholeMinute: try await record?.firstWholeMinute ?? .min)
        if let known = projects[project], known.state == state { return try known.told }
        let known = try await asker.whileWaiting { [self] in
            try await inFlight.value(for: state) { [self] in try await gate(for: project) { [self] in try await read(state) } }
        }
        return try known.told
    }

    private func read(_ state: State) async throws -> Known {
        let before = projects[state.project]
        let versions = try await store.versions(.day, project: state.project, in: [RollupTier.day.allIndexes])
        let revisions = try await store.segmentRevisions(of: state.project)
        var days: [Int64: Day] = [:]
        var changed: [Int64] = []
        let firstDay = Timestamp(minute: max(state.firstWholeMinute, Timestamp.earliest.minute)).day
        for (day, version) in versions where day >= firstDay {
            let known = before?.days[day]
            let isSame = known?.version == version && known?.revision == revisions[day] ?? 0 && day > firstDay
            if isSame { days[day] = known } else { changed.append(day) }
        }
        for slice in slices(coalesce(changed.sorted()), length: Self.daysAtATime) {
            try Task.checkCancellation()
            let own = versions.filter { version in slice.contains { $0.contains(version.key) } }
            let links = try await links(of: state, own)
            for (day, version) in own {
                days[day] = Day(version: version, revision: revisions[day] ?? 0, links: links[day] ?? [])
            }
        }
        let isSame = before?.map != nil && before?.days.mapValues(\.links) == days.mapValues(\.links)
        let count = days.values.reduce(0) { $0 + $1.links.count }
        let map = count > Self.linkLimit ? nil : isSame ? before?.map : IdentityMap(days.map { ($0.key, $0.value.links) })
        let known = Known(state: state, map: map, days: days, links: count)
        remember(known)
        return known
    }

    private func remember(_ known: Known) {
        projects[known.state.project] = nil
        let others = projects.values.reduce(0) { $0 + $1.links }
        if others + known.links > Self.rememberedLinks || projects.count >= Self.rememberedProjects { projects.removeAll() }
        projects[known.state.project] = known
    }

    /// The decisive link of each anonymous id and day.
    private func links(
        of state: State, _ versions: [Int64: Int64]
    ) async throws -> [Int64: [IdentityLink]] {
        guard let first = versions.keys.min(), let last = versions.keys.max() else { return [:] }
        let from = max(Timestamp(day: first), Timestamp(minute: max(state.firstWholeMinute, Timestamp.earliest.minute)))
        let range = from..<max(from, Timestamp(day: last + 1))
        var unreadable: Set<Int64> = []
        for _ in 0..<8 {
            var plan = SegmentPlan(range, fields: [], unreadable: unreadable)
            if !isFromEvents { try await plan.add(versions, of: state.project, from: store) }
            let scans = isFromEvents ? [range] : plan.scans
            do {
                var links = LinkCollector()
                for (day, told) in try await store.links(of: state.project, plan.sources) { links.add(told, of: day) }
                if !scans.isEmpty {
                    let selection = Selection(project: state.project, types: [IdentityLink.eventType])
                    links = try await store.scanEvents(selection, in: scans, reading: [], into: links)
                }
                return try links.days()
            } catch let failure as UnreadableRun {
                SegmentMetrics.unreadable.increment()
                unreadable.insert(failure.run)
            }
        }
        throw StoreError(.unavailable, operation: "segments", "the segments change faster than they can be read")
    }
}

extension IdentityIndex.Known {
    fileprivate var told: IdentityMap {
        get throws {
            guard let map else { throw QueryTooLargeError(.tooManyKeys) }
            return map
        }
    }
}

extension SegmentStore {
    /// The links of the wanted minutes of runs, by day.
    func links(of project: ProjectID, _ sources: [SegmentPlan.Source]) async throws -> [Int64: [IdentityLink]] {
        var links: [Int64: [IdentityLink]] = [:]
        for source in sources {
            for number in 0..<source.run.linkBlobs {
                let key = SegmentBlob.Key(project: project, day: source.day, run: source.run.id, chunk: number, part: .links)
                guard let blob = try await segmentBlobs([key])[0] else { throw UnreadableRun(run: source.run.id, isMissing: true) }
                let all: [IdentityLink]
                do {
                    all = try IdentityLink.decode(blob)
                } catch {
                    throw UnreadableRun(run: source.run.id)
                }
                let wanted = all.filter { link in
                    source.minutes.map { $0[link.minute] } ?? true && source.times.map { $0.contains(link.time) } ?? true
                }
                links[source.day, default: []] += wanted
            }
        }
        return links
    }
}

/// Collects the decisive link of each anonymous id and day.
struct LinkCollector: EventScanReducer {
    private var first: [Int64: [ActorKey: IdentityLink]] = [:]
    private var count = 0

    mutating func add(_ event: ScannedEvent) -> Bool {
        if let link = IdentityLink(event) { add(link, of: event.timestamp.day) }
        return count <= IdentityIndex.linkLimit
    }

    mutating func add(_ links: [IdentityLink], of day: Int64) {
        for link in links { add(link, of: day) }
    }

    private mutating func add(_ link: IdentityLink, of day: Int64) {
        let before = first[day]?[link.anonymous]
        if before == nil { count += 1 }
        if before == nil || link.precedes(before!) { first[day, default: [:]][link.anonymous] = link }
    }

    /// Throws if there are more than ``IdentityIndex/linkLimit``; the rest was not collected.
    func days() throws -> [Int64: [IdentityLink]] {
        guard count <= IdentityIndex.linkLimit else { throw QueryTooLargeError(.tooManyKeys) }
        return first.mapValues { $0.values.sorted { ($0.time, $0.anonymous) < ($1.time, $1.anonymous) } }
    }
}
