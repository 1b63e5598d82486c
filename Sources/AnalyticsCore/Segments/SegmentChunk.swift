/// Rows in stored form: one blob each for the actors, their names and the times, and one per column.
///
/// Numbers are LEB128. Each blob begins with ``format`` and ends with a ``SegmentSeal``.
/// - actors: their number, 16 bytes each, then the number of rows of each.
/// - names: their number, then each name after its length.
/// - times: four bytes per row, little-endian.
/// - a column: bytes per row (0, 1, 2 or 4), the number of entries, each entry after its length, then each row's code, little-endian.
///   A column without a blob has no value in any row.
struct SegmentChunk {
    var info: SegmentHead.Chunk
    /// By ``SegmentBlob/Part``.
    var blobs: [(part: SegmentBlob.Part, bytes: [UInt8])]

    static let format: UInt8 = 1
    static let rowLimit = 16_384
    /// Bytes of entries in one column, or of names, at which a chunk is closed. An event has at most 256 KiB.
    static let byteLimit = 512 << 10
}

/// Divides rows into chunks. Rows arrive in the order of their actors; those of an actor come from one or more sources in order of time.
struct SegmentChunkWriter {
    private let columnCount: Int
    private let rowLimit: Int
    private var actors: [ActorKey] = []
    private var counts: [Int32] = []
    private var names = RowEntries()
    private var times: [UInt32] = []
    private var columns: [Column]
    /// The largest size of entries in any column, in bytes.
    private var largest = 0
    private var finished: [SegmentChunk] = []
    /// Held until the chunk is closed: translations are keyed by the identity of the source.
    private var sources: [ObjectIdentifier: EventRows] = [:]

    fileprivate struct Column {
        var codes: [Int32] = []
        var entries = RowEntries()
        var places: [[UInt8]: Int32] = [:]
        /// The codes here of a source's codes; -1 if not known yet.
        var translations: [ObjectIdentifier: [Int32]] = [:]
    }

    init(columnCount: Int, rowLimit: Int = SegmentChunk.rowLimit) {
        self.columnCount = columnCount
        self.rowLimit = rowLimit
        columns = Array(repeating: Column(), count: columnCount)
    }

    /// Adds rows of one actor. The source has names, times and all columns.
    mutating func add(_ rows: EventRows, _ actor: Int, _ range: Range<Int>) {
        var start = range.lowerBound
        while start < range.upperBound {
            if isFull { close() }
            if actors.last != rows.actors[actor] {
                actors.append(rows.actors[actor])
                counts.append(0)
                if let own = rows.names { names.append(own[actor]) }
            }
            sources[ObjectIdentifier(rows)] = rows
            let before = times.count
            let end = min(range.upperBound, start + rowLimit - before)
            var row = start
            // Entries may fill the chunk at any row.
            while row < end, row == start || !isFull {
                times.append(rows.times[row])
                for index in columns.indices {
                    columns[index].add(rows.columns[index], row, of: rows)
                    largest = max(largest, columns[index].entries.bytes.count)
                }
                row += 1
            }
            counts[counts.count - 1] += Int32(row - start)
            start = row
        }
    }

    private var isFull: Bool {
        times.count >= rowLimit || names.bytes.count >= SegmentChunk.byteLimit || largest >= SegmentChunk.byteLimit
    }

    /// The completed chunks.
    mutating func take() -> [SegmentChunk] {
        defer { finished = [] }
        return finished
    }

    mutating func finish() -> [SegmentChunk] {
        close()
        return take()
    }

    private mutating func close() {
        guard let first = actors.first else { return }
        var blobs: [(part: SegmentBlob.Part, bytes: [UInt8])] = [
            (.actors, encodedActors), (.names, Self.encoded(names)), (.times, encodedTimes),
        ]
        var present: UInt64 = 0
        for (index, column) in columns.enumerated() {
            // The column has one empty entry only.
            if column.entries.count == 1, column.entries[0].isEmpty { continue }
            blobs.append((.column(index), column.encoded))
            present |= 1 << UInt64(index)
        }
        finished.append(
            SegmentChunk(
                info: SegmentHead.Chunk(first: first, rows: Int32(times.count), columns: present),
                blobs: blobs.map { ($0.part, SegmentSeal.sealed($0.bytes)) }))
        (actors, counts, names, times) = ([], [], RowEntries(), [])
        columns = Array(repeating: Column(), count: columnCount)
        sources = [:]
        largest = 0
    }

    private var encodedActors: [UInt8] {
        var writer = TableWriter(bytes: [SegmentChunk.format])
        writer.number(Int64(actors.count))
        for actor in actors {
            for word in [actor.high, actor.low] { writer.word(word) }
        }
        for count in counts { writer.number(Int64(count)) }
        return writer.bytes
    }

    private var encodedTimes: [UInt8] {
        var bytes = [SegmentChunk.format]
        bytes.reserveCapacity(1 + times.count * 4)
        for time in times { withUnsafeBytes(of: time.littleEndian) { bytes.append(contentsOf: $0) } }
        return bytes
    }

    private static func encoded(_ entries: RowEntries) -> [UInt8] {
        var writer = TableWriter(bytes: [SegmentChunk.format])
        writer.entries(entries)
        return writer.bytes
    }
}

extension SegmentChunkWriter.Column {
    fileprivate mutating func add(_ column: RowColumn, _ row: Int, of rows: EventRows) {
        let code = column.code(of: row)
        let source = ObjectIdentifier(rows)
        if let known = translations[source]?[code], known >= 0 { return codes.append(known) }
        let entry = Array(column.entries[code])
        let place = places[entry] ?? Int32(entries.count)
        if places[entry] == nil {
            places[entry] = place
            entries.append(entry)
        }
        translations[source, default: Array(repeating: -1, count: column.entries.count)][code] = place
        codes.append(place)
    }

    fileprivate var encoded: [UInt8] {
        let width = entries.count <= 1 ? 0 : entries.count <= 1 << 8 ? 1 : entries.count <= 1 << 16 ? 2 : 4
        var writer = TableWriter(bytes: [SegmentChunk.format, UInt8(width)])
        writer.entries(entries)
        writer.bytes.reserveCapacity(writer.bytes.count + codes.count * width)
        for code in codes where width > 0 {
            withUnsafeBytes(of: UInt32(code).littleEndian) { writer.bytes.append(contentsOf: $0.prefix(width)) }
        }
        return writer.bytes
    }
}

// MARK: Reading

extension EventRows {
    /// The parts of a chunk to read.
    struct Parts: Sendable, Equatable {
        var hasTimes: Bool
        var hasNames: Bool
        /// Indexes of the run's columns.
        var columns: [Int]

        /// In the order of ``EventRows/init(day:chunk:parts:blobs:)``.
        func blobs(of chunk: SegmentHead.Chunk) -> [SegmentBlob.Part] {
            [.actors] + (hasTimes ? [.times] : []) + (hasNames ? [.names] : [])
                + columns.filter { chunk.hasColumn($0) }.map(SegmentBlob.Part.column)
        }
    }

    /// Reads blobs from a store, in the order of ``Parts/blobs(of:)``. The bytes are untrusted.
    convenience init(day: Int64, chunk: SegmentHead.Chunk, parts: Parts, blobs: [[UInt8]]) throws(GroupTable.Unreadable) {
        var blobs = blobs.makeIterator()
        func next<Value>(
            _ read: (inout TableCursor) throws(GroupTable.Unreadable) -> Value
        ) throws(GroupTable.Unreadable) -> Value {
            guard let bytes = blobs.next() else { throw .damaged }
            return try SegmentSeal.opened(bytes).withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
                var cursor = TableCursor(buffer)
                guard try cursor.byte() == SegmentChunk.format else { throw .damaged }
                let value = try read(&cursor)
                guard cursor.isAtEnd else { throw .damaged }
                return value
            }
        }
        let rows = Int(chunk.rows)
        let (actors, starts) = try next { (cursor) throws(GroupTable.Unreadable) in try Self.actors(&cursor, rows: rows) }
        guard actors.first == chunk.first else { throw .damaged }
        let times =
            try parts.hasTimes
            ? next { (cursor) throws(GroupTable.Unreadable) in try cursor.integers(rows, UInt32.self) } : []
        guard times.allSatisfy({ $0 < 86_400_000 }) else { throw .damaged }
        let names = try parts.hasNames ? next { (cursor) throws(GroupTable.Unreadable) in try cursor.entries() } : nil
        guard names == nil || names?.count == actors.count else { throw .damaged }
        var columns: [RowColumn] = []
        for column in parts.columns {
            guard chunk.hasColumn(column) else {
                columns.append(.empty)
                continue
            }
            columns.append(try next { (cursor) throws(GroupTable.Unreadable) in try RowColumn(&cursor, rows: rows) })
        }
        self.init(day: day, actors: actors, starts: starts, times: times, columns: columns, names: names)
    }

    private static func actors(
        _ cursor: inout TableCursor, rows: Int
    ) throws(GroupTable.Unreadable) -> (actors: [ActorKey], starts: [Int32]) {
        let count = try cursor.length()
        let words = try cursor.integers(count * 2, UInt64.self)
        let actors = (0..<count).map { ActorKey(high: words[$0 * 2], low: words[$0 * 2 + 1]) }
        guard zip(actors, actors.dropFirst()).allSatisfy(<) else { throw .damaged }
        var starts: [Int32] = [0]
        starts.reserveCapacity(count + 1)
        var sum: Int64 = 0
        for _ in 0..<count {
            let count = try cursor.count()
            sum += count
            guard count > 0, sum <= rows else { throw .damaged }
            starts.append(Int32(sum))
        }
        guard sum == rows else { throw .damaged }
        return (actors, starts)
    }
}

extension RowColumn {
    /// For rows without a value.
    static let empty: RowColumn = {
        var entries = RowEntries()
        entries.append([UInt8]())
        return RowColumn(codes: [], entries: entries)
    }()

    fileprivate init(_ cursor: inout TableCursor, rows: Int) throws(GroupTable.Unreadable) {
        let width = try cursor.byte()
        entries = try cursor.entries()
        switch width {
        case 0: codes = []
        case 1: codes = try cursor.integers(rows, UInt8.self).map(Int32.init)
        case 2: codes = try cursor.integers(rows, UInt16.self).map(Int32.init)
        case 4: codes = try cursor.integers(rows, UInt32.self).map { Int32(bitPattern: $0) }
        default: throw .damaged
        }
        let limit = Int32(entries.count)
        guard limit > 0, codes.allSatisfy({ $0 >= 0 && $0 < limit }) else { throw .damaged }
    }
}

extension TableWriter {
    mutating func word(_ word: UInt64) {
        withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
    }

    fileprivate mutating func entries(_ entries: RowEntries) {
        number(Int64(entries.count))
        for index in 0..<entries.count {
            let entry = entries[index]
            number(Int64(entry.count))
            bytes.append(contentsOf: entry)
        }
    }
}

extension TableCursor {
    fileprivate mutating func entries() throws(GroupTable.Unreadable) -> RowEntries {
        var entries = RowEntries()
        for _ in 0..<(try length()) { entries.append(try text()) }
        return entries
    }
}
