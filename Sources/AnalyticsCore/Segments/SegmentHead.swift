/// The contents of a day's segment: runs of events, and for each minute the version that a run holds.
///
/// A segment has the events of a UTC day by actor, and depends on the stored events alone, like rollups. It has no mark of its own:
/// the version of each minute tells whether its events are still those read for the run (docs/decisions/segments.md).
struct SegmentHead: Sendable, Equatable {
    var day: Int64
    /// The version of the day's bucket, read before anything else.
    var dayVersion: Int64 = 0
    /// Per minute of the day, the version read before its events; 0 if it must be read again, or was not marked.
    var versions = [Int64](repeating: 0, count: minutesInDay)
    /// Per minute, the index of its run in ``builds``; ``noRun`` if it has no events, ``untold`` if it has too many.
    var runs = [Int8](repeating: noRun, count: minutesInDay)
    var builds: [Run] = []
    /// Runs to delete once no question reads them, and runs that a builder may be writing.
    var leftovers: [Leftover] = []

    static let minutesInDay = 1_440
    static let runLimit = 100
    static let noRun: Int8 = -1
    /// Read from the events.
    static let untold: Int8 = -2

    /// Events read together.
    struct Run: Sendable, Equatable {
        /// Identifies its blobs. Random.
        var id: Int64
        /// The number of minutes read for the run. It holds fewer if later runs have replaced some.
        var minutes: Int
        var fields: [RowField]
        /// The number of blobs with the links of anonymous ids to users in its events.
        var linkBlobs: Int
        var chunks: [Chunk]

        var rows: Int { chunks.reduce(0) { $0 + Int($1.rows) } }

        static let ids: Range<Int64> = 1..<1 << 62
    }

    /// A part of a run's rows. Chunks are in the order of the rows.
    struct Chunk: Sendable, Equatable {
        var first: ActorKey
        var rows: Int32
        /// One bit for each column in which a row has a value.
        var columns: UInt64

        func hasColumn(_ index: Int) -> Bool { columns & 1 << UInt64(index) != 0 }
    }

    struct Leftover: Sendable, Equatable {
        var run: Int64
        /// When the run was begun, or discarded.
        var since: Timestamp
        /// Whether a builder has begun to write the run, and no head had it yet.
        var isBegun: Bool
    }

    init(day: Int64) {
        self.day = day
    }

    /// Replaces the entries of some minutes with a run; without a run they become ``noRun`` or ``untold``.
    mutating func put(_ run: Run?, minutes: [(minute: Int, version: Int64)], isTold: Bool = true, at now: Timestamp) {
        let place = Int8(builds.count)
        if let run {
            builds.append(run)
            leftovers.removeAll { $0.run == run.id }
        }
        for (minute, version) in minutes {
            versions[minute] = version
            runs[minute] = run != nil ? place : isTold ? Self.noRun : Self.untold
        }
        dropUnused(at: now)
    }

    /// Removes runs without minutes.
    private mutating func dropUnused(at now: Timestamp) {
        var isUsed = [Bool](repeating: false, count: builds.count)
        for run in runs where run >= 0 { isUsed[Int(run)] = true }
        guard isUsed.contains(false) else { return }
        var places = [Int8](repeating: -1, count: builds.count)
        var kept: [Run] = []
        for (place, run) in builds.enumerated() {
            if isUsed[place] {
                places[place] = Int8(kept.count)
                kept.append(run)
            } else {
                leftovers.append(Leftover(run: run.id, since: now, isBegun: false))
            }
        }
        builds = kept
        runs = runs.map { $0 < 0 ? $0 : places[Int($0)] }
    }

    /// The minutes that a run holds.
    func minutes(of place: Int) -> [Int] { runs.indices.filter { runs[$0] == Int8(place) } }
}

// MARK: Stored form

extension SegmentHead {
    private static let format: Int64 = 1

    var encoded: [UInt8] {
        var writer = TableWriter()
        writer.number(Self.format)
        writer.number(dayVersion)
        let known = versions.indices.filter { versions[$0] != 0 || runs[$0] != Self.noRun }
        writer.number(Int64(known.count))
        var last = 0
        for minute in known {
            writer.number(Int64(minute - last))
            writer.number(versions[minute])
            writer.number(Int64(runs[minute]) + 2)
            last = minute
        }
        // Most runs have the same fields.
        writer.number(Int64(builds.count))
        for (place, run) in builds.enumerated() {
            writer.word(UInt64(bitPattern: run.id))
            writer.number(Int64(run.minutes))
            writer.number(Int64(run.linkBlobs))
            let isSame = place > 0 && builds[place - 1].fields == run.fields
            writer.number(isSame ? 0 : Int64(run.fields.count) + 1)
            if !isSame { for field in run.fields { writer.text(field.text) } }
            writer.number(Int64(run.chunks.count))
            for chunk in run.chunks {
                writer.word(chunk.first.high)
                writer.word(chunk.first.low)
                writer.number(Int64(chunk.rows))
                writer.word(chunk.columns)
            }
        }
        writer.number(Int64(leftovers.count))
        for leftover in leftovers {
            writer.word(UInt64(bitPattern: leftover.run))
            writer.word(UInt64(bitPattern: leftover.since.milliseconds))
            writer.number(leftover.isBegun ? 1 : 0)
        }
        return SegmentSeal.sealed(writer.bytes)
    }

    /// The bytes are untrusted.
    init(day: Int64, encoded bytes: [UInt8]) throws(GroupTable.Unreadable) {
        self.init(day: day)
        try SegmentSeal.opened(bytes).withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
            var cursor = TableCursor(buffer)
            guard try cursor.number() == Self.format else { throw .damaged }
            dayVersion = try cursor.number()
            var minute: Int64 = 0
            for _ in 0..<(try cursor.length()) {
                let step = try cursor.number()
                guard step < Int64(Self.minutesInDay) - minute else { throw .damaged }
                minute += step
                versions[Int(minute)] = try cursor.number()
                let run = try cursor.number()
                guard run < Int64(Self.runLimit) + 2 else { throw .damaged }
                runs[Int(minute)] = Int8(run - 2)
            }
            for _ in 0..<(try cursor.length()) { builds.append(try cursor.run(fieldsBefore: builds.last?.fields ?? [])) }
            guard builds.count <= Self.runLimit else { throw .damaged }
            for _ in 0..<(try cursor.length()) {
                leftovers.append(
                    Leftover(
                        run: Int64(bitPattern: try cursor.word()), since: Timestamp(milliseconds: Int64(bitPattern: try cursor.word())),
                        isBegun: try cursor.number() == 1))
            }
            guard cursor.isAtEnd, runs.allSatisfy({ Int($0) < builds.count }),
                (builds.map(\.id) + leftovers.map(\.run)).allSatisfy(Run.ids.contains)
            else { throw .damaged }
        }
    }
}

extension TableCursor {
    fileprivate mutating func run(fieldsBefore: [RowField]) throws(GroupTable.Unreadable) -> SegmentHead.Run {
        var run = SegmentHead.Run(
            id: Int64(bitPattern: try word()), minutes: Int(try number()), fields: fieldsBefore, linkBlobs: Int(try number()), chunks: [])
        let count = try length()
        if count > 0 {
            run.fields = []
            for _ in 1..<count {
                guard let field = RowField(try GroupTable.string(text())) else { throw .damaged }
                run.fields.append(field)
            }
        }
        guard run.fields.count <= 64, run.linkBlobs <= 1 << 20 else { throw .damaged }
        for _ in 0..<(try length()) {
            let first = ActorKey(high: try word(), low: try word())
            let rows = try number()
            guard (1...Int64(SegmentChunk.rowLimit)).contains(rows), run.chunks.last.map({ $0.first <= first }) ?? true else {
                throw .damaged
            }
            run.chunks.append(SegmentHead.Chunk(first: first, rows: Int32(rows), columns: try word()))
        }
        return run
    }
}
