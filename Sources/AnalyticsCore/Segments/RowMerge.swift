internal import Algorithms
internal import AnalyticsJSON

/// Passes the rows of segments, and scanned rows, to a reducer.
struct RowMerge<Reducer: RowReducer> {
    private let store: any SegmentStore
    private let project: ProjectID
    private let filter: RowFilter
    private let identities: IdentityMap
    /// Rows that are not in segments: scanned rows, and those of live minutes.
    private let others: [EventRows]
    private(set) var reducer: Reducer
    private var cursors: [Cursor] = []
    private var pieces: [Piece] = []
    /// Rows of actors that are joined with others, under the key of the user. They are passed on after all others.
    private var merged: [(rows: EventRows, run: Int64)] = []
    private var mergedBytes = 0

    private static var chunksAtATime: Int { 64 }
    /// Approximate number of pieces sorted at a time.
    private static var piecesAtATime: Int { 65_536 }
    /// Maximum bytes of rows of joined actors in memory.
    private static var mergedLimit: Int { 96 << 20 }
    /// Number of sources beyond which each holds one chunk at a time instead of two.
    private static var twoChunkSources: Int { 64 }
    /// Maximum bytes of chunks in memory.
    private static var loadedLimit: Int { 256 << 20 }

    /// A position in the rows of one source, which are in the order of their actors.
    private struct Cursor {
        /// `nil` for rows that were scanned.
        var source: SegmentPlan.Source?
        /// The next chunk to be read.
        var chunk = 0
        /// Chunks that are read and not used up, at most two. The first actor that is not used up is in the first of these.
        var loaded: [(rows: EventRows, slot: Int)] = []
        var actor = 0
        /// The first of the cursor's two slots.
        let freeSlot: Int

        var nextFirst: ActorKey? {
            guard let chunks = source?.run.chunks, chunk < chunks.count else { return nil }
            return chunks[chunk].first
        }

        var key: ActorKey? { loaded.first?.rows.actors[actor] }

        mutating func append(_ rows: EventRows) -> Int {
            // The slot of a used-up chunk is free again.
            let slot = loaded.isEmpty ? freeSlot : loaded[0].slot ^ 1
            loaded.append((rows, slot))
            return slot
        }

        mutating func advance() {
            actor += 1
            if actor == loaded[0].rows.actors.count {
                loaded.removeFirst()
                actor = 0
            }
        }
    }

    /// Rows of one actor in a source.
    private struct Piece {
        var actor: ActorKey
        var slot: Int32
        var start: Int32
        var end: Int32

        static func < (a: Piece, b: Piece) -> Bool {
            a.actor.high != b.actor.high ? a.actor.high < b.actor.high : (a.actor.low, a.slot) < (b.actor.low, b.slot)
        }
    }

    /// - Parameter live: Rows that are already filtered.
    init(
        store: any SegmentStore, project: ProjectID, filter: RowFilter, identities: IdentityMap, reducer: ScannedRows<Reducer>,
        live: [EventRows] = []
    ) {
        self.store = store
        self.project = project
        self.filter = filter
        self.identities = identities
        self.reducer = reducer.reducer
        others = reducer.rows + live
    }

    // MARK: In any order

    mutating func readAll(_ sources: [SegmentPlan.Source]) async throws {
        for rows in others where rows.count > 0 { try give(rows, run: 0) }
        var chunks: [(source: SegmentPlan.Source, chunk: Int)] = []
        for source in sources {
            for chunk in source.run.chunks.indices where mayHold(source, chunk) { chunks.append((source, chunk)) }
        }
        for batch in chunks.chunks(ofCount: Self.chunksAtATime) {
            try Task.checkCancellation()
            for (rows, wanted) in zip(try await read(Array(batch)), batch) where rows.count > 0 {
                try give(rows, run: wanted.source.run.id)
            }
        }
    }

    private mutating func give(_ rows: EventRows, run: Int64) throws {
        try load(rows, slot: 0, run: run)
        reducer.add(slot: 0, 0..<rows.count)
        try reducer.check()
    }

    // MARK: By actor

    /// - Parameter afterEach: Runs between actors, each time after some have been passed on.
    mutating func readByActor(
        _ sources: [SegmentPlan.Source], afterEach: (inout Reducer) async throws -> Void = { _ in }
    ) async throws {
        cursors = []
        for source in sources { cursors.append(Cursor(source: source, freeSlot: cursors.count * 2)) }
        for rows in others { try start(with: try withoutMerged(rows, run: 0), run: 0) }
        try await giveAll(afterEach)
        cursors = []
        for (rows, run) in merged { try start(with: rows, run: run) }
        merged = []
        try await giveAll(afterEach)
    }

    /// Starts a cursor over rows in memory, of a run or of no run.
    private mutating func start(with rows: EventRows, run: Int64) throws {
        guard rows.count > 0 else { return }
        var cursor = Cursor(freeSlot: cursors.count * 2)
        try load(rows, slot: cursor.append(rows), run: run)
        cursors.append(cursor)
    }

    /// Holds back the rows of actors that are joined with others.
    private mutating func withoutMerged(_ rows: EventRows, run: Int64) throws -> EventRows {
        guard !identities.isEmpty, rows.actors.contains(where: identities.isMerged) else { return rows }
        let held = rows.filtered(actor: identities.isMerged).withActors(identities.actor)
        merged.append((held, run))
        mergedBytes += held.size
        guard mergedBytes <= Self.mergedLimit else { throw QueryTooLargeError(.tooManyEvents) }
        return rows.filtered { !identities.isMerged($0) }
    }

    private mutating func giveAll(_ afterEach: (inout Reducer) async throws -> Void) async throws {
        while try await fill() {
            try Task.checkCancellation()
            let bound = bound
            take(before: bound)
            if pieces.isEmpty {
                // The remaining rows of the sources begin with an actor whose rows continue in chunks that are not read yet.
                guard let key = cursors.compactMap(\.key).min() else { continue }
                try await giveAll(of: key, afterEach)
            } else {
                giveInOrder()
            }
            try reducer.check()
            try await afterEach(&reducer)
        }
    }

    /// If a source has used up its rows, reads the next chunk of each source that has room. Returns whether rows are left.
    private mutating func fill() async throws -> Bool {
        while cursors.contains(where: { $0.loaded.isEmpty && $0.nextFirst != nil }) {
            let room = cursors.count > Self.twoChunkSources ? 1 : 2
            try await fill(cursors.indices.filter { cursors[$0].loaded.count < room && cursors[$0].nextFirst != nil })
            let bytes = cursors.reduce(0) { $0 + $1.loaded.reduce(0) { $0 + $1.rows.size } }
            guard bytes <= Self.loadedLimit else { throw QueryTooLargeError(.tooManyEvents) }
        }
        return cursors.contains { !$0.loaded.isEmpty }
    }

    private mutating func fill(_ indexes: [Int]) async throws {
        for batch in indexes.chunks(ofCount: Self.chunksAtATime) {
            var wanted: [(source: SegmentPlan.Source, chunk: Int)] = []
            var owners: [Int] = []
            for index in batch {
                guard let source = cursors[index].source else { continue }
                if mayHold(source, cursors[index].chunk) {
                    wanted.append((source, cursors[index].chunk))
                    owners.append(index)
                }
                cursors[index].chunk += 1
            }
            for ((read, wanted), index) in zip(zip(try await read(wanted), wanted), owners) {
                let rows = try withoutMerged(read, run: wanted.source.run.id)
                guard rows.count > 0 else { continue }
                try load(rows, slot: cursors[index].append(rows), run: wanted.source.run.id)
            }
        }
    }

    /// All rows of the actors before this one have been read. It also limits the number of pieces.
    private var bound: ActorKey? {
        let limit = max(64, Self.piecesAtATime / cursors.count)
        var bound: ActorKey?
        func lower(_ key: ActorKey) { bound = bound.map { min($0, key) } ?? key }
        for cursor in cursors {
            if let next = cursor.nextFirst { lower(next) }
            if let rows = cursor.loaded.first?.rows, rows.actors.count - cursor.actor > limit { lower(rows.actors[cursor.actor + limit]) }
        }
        return bound
    }

    private mutating func take(before bound: ActorKey?) {
        pieces.removeAll(keepingCapacity: true)
        for index in cursors.indices {
            while let (rows, slot) = cursors[index].loaded.first {
                let (actors, starts) = (rows.actors, rows.starts)
                var actor = cursors[index].actor
                while actor < actors.count, bound.map({ actors[actor] < $0 }) ?? true {
                    pieces.append(Piece(actor: actors[actor], slot: Int32(slot), start: starts[actor], end: starts[actor + 1]))
                    actor += 1
                }
                guard actor == actors.count else {
                    cursors[index].actor = actor
                    break
                }
                cursors[index].loaded.removeFirst()
                cursors[index].actor = 0
            }
        }
    }

    private mutating func giveInOrder() {
        pieces.sort(by: <)
        var actor: ActorKey?
        for piece in pieces {
            if piece.actor != actor {
                if actor != nil { reducer.end() }
                actor = piece.actor
                reducer.begin(isUser: piece.actor != .none)
            }
            reducer.add(slot: Int(piece.slot), Int(piece.start)..<Int(piece.end))
        }
        reducer.end()
    }

    /// Passes on the rows of one actor, source by source, and reads further chunks when needed.
    private mutating func giveAll(of key: ActorKey, _ afterEach: (inout Reducer) async throws -> Void) async throws {
        reducer.begin(isUser: key != .none)
        for index in cursors.indices {
            while cursors[index].key == key {
                let (rows, slot) = cursors[index].loaded[0]
                reducer.add(slot: slot, rows.rows(of: cursors[index].actor))
                cursors[index].advance()
                while cursors[index].loaded.isEmpty, cursors[index].nextFirst != nil { try await fill([index]) }
                try Task.checkCancellation()
                try reducer.check()
                try await afterEach(&reducer)
            }
        }
        reducer.end()
    }

    // MARK: Chunks

    private func mayHold(_ source: SegmentPlan.Source, _ chunk: Int) -> Bool {
        let chunks = source.run.chunks
        return filter.mayHold(chunks[chunk], next: chunk + 1 < chunks.count ? chunks[chunk + 1] : nil)
    }

    private mutating func load(_ rows: EventRows, slot: Int, run: Int64) throws {
        do throws(GroupTable.Unreadable) {
            try reducer.load(rows, slot: slot)
        } catch {
            throw UnreadableRun(run: run)
        }
        // The entries of a chunk may be larger than its selected rows.
        try reducer.check()
    }

    /// The selected rows of chunks, in order, with the reducer's columns.
    private func read(_ chunks: [(source: SegmentPlan.Source, chunk: Int)]) async throws -> [EventRows] {
        let fields = reducer.fields + filter.fields
        var keys: [SegmentBlob.Key] = []
        var parts: [EventRows.Parts] = []
        for (source, chunk) in chunks {
            let part = EventRows.Parts(
                hasTimes: reducer.needsTimes || source.minutes != nil || source.times != nil,
                hasNames: reducer.needsNames || fields.contains(.userId),
                columns: fields.filter { $0 != .userId }.compactMap { source.run.fields.firstIndex(of: $0) })
            parts.append(part)
            keys += part.blobs(of: source.run.chunks[chunk]).map {
                SegmentBlob.Key(project: project, day: source.day, run: source.run.id, chunk: chunk, part: $0)
            }
        }
        var blobs = try await store.segmentBlobs(keys)[...]
        var read: [EventRows] = []
        for ((source, chunk), part) in zip(chunks, parts) {
            let info = source.run.chunks[chunk]
            let own = blobs.prefix(part.blobs(of: info).count)
            blobs = blobs.dropFirst(own.count)
            let bytes = own.compactMap(\.self)
            guard bytes.count == own.count else { throw UnreadableRun(run: source.run.id, isMissing: true) }
            do throws(GroupTable.Unreadable) {
                let rows = try EventRows(day: source.day, chunk: info, parts: part, blobs: bytes)
                read.append(
                    try filter.apply(
                        to: rows.withUserIds(fields), columns: reducer.fields.count, minutes: source.minutes, times: source.times))
            } catch {
                throw UnreadableRun(run: source.run.id)
            }
        }
        return read
    }
}

extension EventRows {
    /// Adds a column of user ids, made from the actors' names, if the fields include it.
    func withUserIds(_ fields: [RowField]) throws(GroupTable.Unreadable) -> EventRows {
        guard let names, fields.contains(.userId) else { return self }
        var codes: [Int32] = []
        codes.reserveCapacity(count)
        var entries = RowEntries()
        for actor in actors.indices {
            let name = try names.name(actor)
            entries.append(name?.kind == .user ? [.string(name!.id.text)] : [])
            codes.append(contentsOf: repeatElement(Int32(actor), count: rows(of: actor).count))
        }
        var others = columns.makeIterator()
        let userIds = RowColumn(codes: codes, entries: entries)
        return EventRows(
            day: day, actors: actors, starts: starts, times: times,
            columns: fields.map { $0 == .userId ? userIds : others.next() ?? .empty }, names: names)
    }
}
