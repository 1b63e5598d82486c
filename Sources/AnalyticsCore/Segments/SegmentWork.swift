internal import Algorithms
internal import CoreMetrics

/// Brings the segment of one day up to date.
struct SegmentWork: Sendable {
    let store: any RollupStore & ProjectStore & EventScanner & SegmentStore
    let project: ProjectID
    let day: Int64
    let fields: [RowField]
    let clock: WallClock
    var chunkRows = SegmentChunk.rowLimit

    /// Maximum rows and bytes of a run that is read from events, unless one minute has more.
    static let runRows = 200_000
    static let runBytes = 48 << 20
    /// Maximum rows and bytes of a minute in a segment. A larger minute is always read from its events.
    static let minuteRows = 2_000_000
    static let minuteBytes = 192 << 20
    /// Maximum number of runs of a changing day before they are joined.
    static let manyRuns = 8
    /// How long a question may read a run after it was replaced. Longer than the longest time of a question.
    static let grace: Duration = .seconds(660)
    /// How long a builder may write a run; after that, others treat it as dead. Each step must finish within a third of this.
    static let lease: Duration = .seconds(180)
    private static let blobBytes = 4 << 20

    /// The result of work on a day's segment.
    struct Outcome: Sendable {
        /// The version of the day for which the segment is complete; `nil` if it is incomplete, or another builder wrote first.
        var version: Int64?
        /// Whether no runs need joining once the day is at rest.
        var isJoined = false
        var hasJoined = false
        /// When the next run can be deleted.
        var leftover: Timestamp?
    }

    /// - Parameter isAtRest: Whether the day has not changed for a while. Then its runs are joined, and its latest minutes are read too.
    func run(isAtRest: Bool) async throws -> Outcome {
        // The order is: the day's version, the minutes' versions, the head, the events. Later reads may be newer, never older.
        guard let version = try await store.versions(.day, project: project, in: [day..<day + 1])[day] else { return Outcome() }
        let minutes = try await store.minuteVersions(of: project, day: day)
        guard var (head, revision) = try await read() else { return Outcome() }
        let now = clock.now()
        if head.leftovers.contains(where: { $0.isBegun && $0.since + Self.lease > now }) { return Outcome(leftover: head.firstLeftover) }
        guard try await deleteLeftovers(&head, &revision, now) else { return Outcome() }
        var changed = (0..<SegmentHead.minutesInDay).filter { minute in
            minutes[minute] != head.versions[minute]
                || (head.runs[minute] >= 0 && head.builds[Int(head.runs[minute])].fields != fields)
        }
        var (isWhole, hasJoined) = (true, false)
        if !isAtRest {
            // The present minutes will change again.
            let present = Int((now.milliseconds - day * RollupTier.day.milliseconds) / RollupTier.minute.milliseconds)
            let over = changed.filter { $0 < present || $0 > present + 1 }
            isWhole = over.count == changed.count
            changed = over
        }
        while let first = changed.first {
            let read = try await Deadline.within(Self.lease / 3) { try await self.readEvents(changed) }
            let done = Array(changed.prefix { $0 < read.end })
            changed.removeFirst(done.count)
            if done.isEmpty {
                // Too large for memory.
                changed.removeFirst()
                head.put(nil, minutes: [(minute: first, version: minutes[first])], isTold: false, at: now)
                guard try await swap(&head, &revision) else { return Outcome() }
                continue
            }
            let news = done.map { (minute: $0, version: minutes[$0]) }
            guard try await write(read.rows, read.links, replacing: news, &head, &revision) else { return Outcome() }
            if head.builds.count >= SegmentHead.runLimit - 1 {
                guard try await join(&head, &revision) else { return Outcome() }
                hasJoined = true
            }
        }
        if head.wantsJoining(isAtRest: isAtRest) {
            guard try await join(&head, &revision) else { return Outcome() }
            hasJoined = true
        }
        if isWhole, head.dayVersion != version {
            head.dayVersion = version
            guard try await swap(&head, &revision) else { return Outcome() }
        }
        return Outcome(
            version: isWhole ? version : nil, isJoined: !head.wantsJoining(isAtRest: true), hasJoined: hasJoined,
            leftover: head.firstLeftover)
    }

    // MARK: The head

    /// Replaces a head that cannot be read; `nil` if that failed. The runs of that head are lost, and deleted with the day.
    private func read() async throws -> (SegmentHead, Int64)? {
        guard let stored = try await store.segmentHeads(of: project, days: [day..<day + 1]).first else { return (SegmentHead(day: day), 0) }
        do throws(GroupTable.Unreadable) {
            return (try SegmentHead(day: day, encoded: stored.bytes), stored.revision)
        } catch {
            SegmentMetrics.unreadable.increment()
            var (head, revision) = (SegmentHead(day: day), stored.revision)
            return try await swap(&head, &revision) ? (head, revision) : nil
        }
    }

    /// Replaces the head that was read. False if another builder wrote first.
    private func swap(_ head: inout SegmentHead, _ revision: inout Int64) async throws -> Bool {
        let next = StoredSegmentHead(project: project, day: day, revision: revision + 1, bytes: head.encoded)
        guard try await store.writeSegmentHead(next, replacing: revision) else { return false }
        revision += 1
        return true
    }

    /// Deletes the blobs of runs that are no longer read or written. False if another builder wrote first.
    private func deleteLeftovers(_ head: inout SegmentHead, _ revision: inout Int64, _ now: Timestamp) async throws -> Bool {
        let old = head.leftovers.filter { $0.end <= now }
        guard !old.isEmpty else { return true }
        for leftover in old where !leftover.isBegun { try await store.deleteSegmentBlobs(of: project, day: day, run: leftover.run) }
        head.leftovers.removeAll { old.contains($0) && !$0.isBegun }
        // A builder treated as dead may still add its run. After this swap its write is refused, and its blobs are deleted later.
        for index in head.leftovers.indices where old.contains(head.leftovers[index]) {
            head.leftovers[index].isBegun = false
            head.leftovers[index].since = now
        }
        return try await swap(&head, &revision)
    }

    // MARK: Runs

    /// The events of as many minutes as fit in a run, and the minute before which all are read.
    private func readEvents(_ minutes: [Int]) async throws -> (rows: EventRows?, links: [IdentityLink], end: Int) {
        let first = day * Int64(SegmentHead.minutesInDay)
        let ranges = coalesce(minutes.map { first + Int64($0) }).map(\.times)
        let collector = try await store.scanEvents(
            Selection(project: project), in: ranges, reading: fields.compactMap(\.path), into: RunCollector(day: day, fields: fields))
        return (collector.rows, collector.links, collector.end.map { Int($0 - first) } ?? SegmentHead.minutesInDay)
    }

    /// Writes rows as a run, which replaces the head's entries of some minutes. False if another builder wrote first.
    private func write(
        _ rows: EventRows?, _ links: [IdentityLink], replacing minutes: [(minute: Int, version: Int64)], _ head: inout SegmentHead,
        _ revision: inout Int64
    ) async throws -> Bool {
        try await write(minutes, links, &head, &revision) { save in
            guard let rows else { return }
            var writer = SegmentChunkWriter(columnCount: fields.count, rowLimit: chunkRows)
            for actor in rows.actors.indices {
                writer.add(rows, actor, rows.rows(of: actor))
                try await save(writer.take())
            }
            try await save(writer.finish())
        }
    }

    private func write(
        _ minutes: [(minute: Int, version: Int64)], _ links: [IdentityLink], _ head: inout SegmentHead, _ revision: inout Int64,
        _ body: ((_ chunks: [SegmentChunk]) async throws -> Void) async throws -> Void
    ) async throws -> Bool {
        let id = Int64.random(in: SegmentHead.Run.ids)
        let leftover = SegmentHead.Leftover(run: id, since: clock.now(), isBegun: true)
        head.leftovers.append(leftover)
        guard try await swap(&head, &revision) else { return false }
        do {
            return try await write(id, leftover, minutes, links, &head, &revision, body)
        } catch {
            // The day must not wait for a builder that has failed.
            head.leftovers.removeAll { $0 == leftover }
            if (try? await store.deleteSegmentBlobs(of: project, day: day, run: id)) != nil { _ = try? await swap(&head, &revision) }
            throw error
        }
    }

    private func write(
        _ id: Int64, _ leftover: SegmentHead.Leftover, _ minutes: [(minute: Int, version: Int64)], _ links: [IdentityLink],
        _ head: inout SegmentHead, _ revision: inout Int64,
        _ body: ((_ chunks: [SegmentChunk]) async throws -> Void) async throws -> Void
    ) async throws -> Bool {
        var chunks: [SegmentHead.Chunk] = []
        var pending: [SegmentBlob] = []
        var bytes = 0
        let linkBlobs = IdentityLink.blobs(IdentityLink.decisive(links))
        for (number, blob) in linkBlobs.enumerated() {
            let key = SegmentBlob.Key(project: project, day: day, run: id, chunk: number, part: .links)
            pending.append(SegmentBlob(key: key, bytes: blob))
            bytes += blob.count
        }
        try await Deadline.within(Self.lease / 3) {
            try await body { finished in
                for chunk in finished {
                    for (part, blob) in chunk.blobs {
                        let key = SegmentBlob.Key(project: self.project, day: self.day, run: id, chunk: chunks.count, part: part)
                        pending.append(SegmentBlob(key: key, bytes: blob))
                        bytes += blob.count
                    }
                    chunks.append(chunk.info)
                    if bytes >= Self.blobBytes {
                        try await self.store.writeSegmentBlobs(pending)
                        (pending, bytes) = ([], 0)
                    }
                }
            }
            try await self.store.writeSegmentBlobs(pending)
        }
        let run = SegmentHead.Run(id: id, minutes: minutes.count, fields: fields, linkBlobs: linkBlobs.count, chunks: chunks)
        SegmentMetrics.built.increment(by: run.rows)
        head.put(chunks.isEmpty ? nil : run, minutes: minutes, at: clock.now())
        head.leftovers.removeAll { $0 == leftover }
        if try await swap(&head, &revision) { return true }
        try await store.deleteSegmentBlobs(of: project, day: day, run: id)
        return false
    }

    /// Joins all runs into one.
    private func join(_ head: inout SegmentHead, _ revision: inout Int64) async throws -> Bool {
        // Runs with other columns are first read from the events again, if there is room for their replacements.
        let others = head.builds.indices.filter { head.builds[$0].fields != fields }
        if !others.isEmpty {
            guard head.builds.count >= SegmentHead.runLimit - 1 else { return true }
            head.put(nil, minutes: others.flatMap { head.minutes(of: $0).map { (minute: $0, version: 0) } }, at: clock.now())
            head.dayVersion = 0
        }
        var plan = SegmentPlan(Timestamp(day: day)..<Timestamp(day: day + 1), fields: fields)
        plan.add(day: day, version: head.dayVersion, head: head, minutes: [])
        let sources = plan.sources
        let held = head.runs.indices.filter { head.runs[$0] >= 0 }.map { (minute: $0, version: head.versions[$0]) }
        do {
            let links = try await store.links(of: project, sources)[day] ?? []
            return try await write(held, links, &head, &revision) { save in
                var merge = RowMerge(
                    store: store, project: project, filter: .everything, identities: .empty,
                    reducer: ScannedRows(RunJoiner(fields: fields, chunkRows: chunkRows)))
                try await merge.readByActor(sources) { joiner in try await save(joiner.writer.take()) }
                try await save(merge.reducer.answer())
            }
        } catch let failure as UnreadableRun {
            // If a run is missing, either it was not replaced, or the following write of the head is refused.
            SegmentMetrics.unreadable.increment()
            return try await forget(failure.run, &head, &revision)
        }
    }

    /// The next pass reads the minutes of a damaged run from the events.
    private func forget(_ run: Int64, _ head: inout SegmentHead, _ revision: inout Int64) async throws -> Bool {
        guard let place = head.builds.firstIndex(where: { $0.id == run }) else { return false }
        head.put(nil, minutes: head.minutes(of: place).map { (minute: $0, version: 0) }, at: clock.now())
        head.dayVersion = 0
        _ = try await swap(&head, &revision)
        return false
    }
}

extension SegmentHead.Leftover {
    /// When the run may be deleted.
    var end: Timestamp { since + (isBegun ? SegmentWork.lease : SegmentWork.grace) }
}

extension SegmentHead {
    /// Joining rewrites all rows, so a few late rows stay in their own run.
    func wantsJoining(isAtRest: Bool) -> Bool {
        guard builds.count > 1 else { return false }
        if builds.count > SegmentWork.manyRuns { return true }
        let rows = builds.map(\.rows)
        let largest = rows.max() ?? 0
        return isAtRest && (rows.reduce(0, +) - largest) * 4 >= largest
    }

    var firstLeftover: Timestamp? { leftovers.map(\.end).min() }
}

/// Takes the events of whole minutes, up to the limits of a run.
private struct RunCollector: EventScanReducer {
    private var builder: RowsBuilder
    private var minute: Int64?
    private(set) var links: [IdentityLink] = []
    /// The first minute that was not taken.
    private(set) var end: Int64?

    init(day: Int64, fields: [RowField]) {
        builder = RowsBuilder(day: day, fields: fields, hasNames: true)
    }

    var rows: EventRows? { builder.count == 0 ? nil : builder.rows() }

    mutating func add(_ event: ScannedEvent) -> Bool {
        let own = event.timestamp.minute
        if own != minute {
            if builder.count >= SegmentWork.runRows || builder.size >= SegmentWork.runBytes {
                end = own
                return false
            }
            minute = own
        } else if builder.count >= SegmentWork.minuteRows || builder.size >= SegmentWork.minuteBytes {
            // The minute is too large: only the minutes before it are taken.
            builder = builder.before(minute: own)
            links.removeAll { $0.minute == Int(own - Timestamp(minute: own).day * Int64(SegmentHead.minutesInDay)) }
            end = own
            return false
        }
        builder.add(event)
        if let link = IdentityLink(event) { links.append(link) }
        return true
    }
}

/// Writes the rows of several runs as one.
private struct RunJoiner: RowReducer {
    typealias Answer = [SegmentChunk]

    let fields: [RowField]
    var writer: SegmentChunkWriter
    private var slots: [EventRows?] = []
    /// The rows of the current actor.
    private var held: [(rows: EventRows, range: Range<Int>)] = []
    private var heldRows = 0
    private var isUser = false

    /// Rows of one actor sorted at a time. More rows per day are sorted in pieces of this size.
    private static let orderedRows = 500_000

    init(fields: [RowField], chunkRows: Int) {
        self.fields = fields
        writer = SegmentChunkWriter(columnCount: fields.count, rowLimit: chunkRows)
    }

    var isByActor: Bool { true }
    var needsTimes: Bool { true }
    var needsNames: Bool { true }

    mutating func load(_ rows: EventRows, slot: Int) {
        while slots.count <= slot { slots.append(nil) }
        slots[slot] = rows
    }

    mutating func begin(isUser: Bool) { self.isUser = isUser }

    mutating func add(slot: Int, _ range: Range<Int>) {
        guard let rows = slots[slot] else { return }
        // The order of rows without an actor does not matter, and there may be very many.
        guard isUser else { return write(rows, range) }
        held.append((rows, range))
        heldRows += range.count
        if heldRows > Self.orderedRows { writeHeld() }
    }

    mutating func end() { writeHeld() }

    private mutating func writeHeld() {
        defer {
            held.removeAll(keepingCapacity: true)
            heldRows = 0
        }
        if held.count == 1 { return write(held[0].rows, held[0].range) }
        // Equal times lie in one minute, so in one run, which is sorted by id.
        var order: [(time: UInt32, piece: Int, row: Int)] = []
        for (piece, (rows, range)) in held.enumerated() {
            for row in range { order.append((rows.times[row], piece, row)) }
        }
        order.sort { ($0.time, $0.piece, $0.row) < ($1.time, $1.piece, $1.row) }
        for (_, piece, row) in order { write(held[piece].rows, row..<row + 1) }
    }

    private mutating func write(_ rows: EventRows, _ range: Range<Int>) {
        guard !range.isEmpty else { return }
        // The actor of these rows.
        let actor = rows.starts.partitioningIndex { $0 > Int32(range.lowerBound) } - 1
        writer.add(rows, actor, range)
    }

    func check() {}

    func answer() -> [SegmentChunk] {
        var writer = writer
        return writer.finish()
    }
}
