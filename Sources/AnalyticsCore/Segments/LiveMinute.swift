/// The rows of a minute whose events change, in pieces. Each piece is in the order of its actors. Pure.
///
/// A piece holds all rows of its times: events with the same time are in one piece, in the order of their ids.
struct LiveMinute: Sendable {
    private struct Piece: Sendable {
        var rows: EventRows
        /// The parts of the minute that its rows are in.
        var parts: MinuteParts
    }

    /// Read before the rows.
    let stamp: MinuteStamp
    /// The fields of the rows' columns.
    let fields: [RowField]
    /// In descending order of size.
    private var pieces: [Piece] = []
    /// Approximate bytes in memory.
    private(set) var size = 0

    /// The rows that become a piece.
    static let pieceRows = 16_384
    private static let pieceBytes = 8 << 20
    /// A piece with fewer than this many times the rows of the next piece is joined with it: there are few pieces, and each row is
    /// seldom copied.
    private static let ratio = 3

    init(stamp: MinuteStamp, fields: [RowField]) {
        self.stamp = stamp
        self.fields = fields
    }

    /// A copy without the rows in some parts, at a newer stamp.
    func without(_ parts: MinuteParts, at stamp: MinuteStamp) -> LiveMinute {
        var minute = LiveMinute(stamp: stamp, fields: fields)
        for piece in pieces {
            guard !piece.parts.isDisjoint(with: parts) else {
                minute.append(piece)
                continue
            }
            let times = piece.rows.times
            minute.append(
                piece.rows.filtered { _ in
                    true
                } row: {
                    !parts.contains(Self.part(of: times[$0]))
                })
        }
        return minute
    }

    mutating func append(_ rows: EventRows) {
        guard rows.count > 0 else { return }
        var parts = MinuteParts()
        for time in rows.times { parts.insert(Self.part(of: time)) }
        append(Piece(rows: rows, parts: parts))
    }

    private mutating func append(_ piece: Piece) {
        var piece = piece
        while let last = pieces.last, last.rows.count < piece.rows.count * Self.ratio {
            pieces.removeLast()
            piece.rows = EventRows.merged(last.rows, piece.rows)
            piece.parts.formUnion(last.parts)
        }
        pieces.append(piece)
        size = pieces.reduce(0) { $0 + $1.rows.size }
    }

    /// `time`: milliseconds since the start of the day.
    private static func part(of time: UInt32) -> Int { Int(time % 60_000) / Int(MinuteParts.milliseconds) }

    /// All rows, with columns of these fields in order; `nil` if a field has no column.
    func rows(_ fields: [RowField]) throws(GroupTable.Unreadable) -> [EventRows]? {
        var columns: [Int] = []
        for field in fields where field != .userId {
            guard let column = self.fields.firstIndex(of: field) else { return nil }
            columns.append(column)
        }
        var rows: [EventRows] = []
        for piece in pieces {
            let own = piece.rows
            let picked = EventRows(
                day: own.day, actors: own.actors, starts: own.starts, times: own.times, columns: columns.map { own.columns[$0] },
                names: own.names)
            rows.append(try picked.withUserIds(fields))
        }
        return rows
    }
}

extension LiveMinute {
    /// Adds scanned events to a minute, up to a limit of bytes for the whole minute.
    struct Collector: EventScanReducer {
        private var minute: LiveMinute
        private let day: Int64
        private let byteLimit: Int
        private var builder: RowsBuilder?
        private var last: Timestamp?
        private var isTooLarge = false

        init(_ minute: LiveMinute, day: Int64, byteLimit: Int) {
            self.minute = minute
            self.day = day
            self.byteLimit = byteLimit
        }

        mutating func add(_ event: ScannedEvent) -> Bool {
            let size = builder?.size ?? 0
            if event.timestamp != last, builder?.count ?? 0 >= LiveMinute.pieceRows || size > LiveMinute.pieceBytes { close() }
            last = event.timestamp
            if builder == nil { builder = RowsBuilder(day: day, fields: minute.fields, hasNames: true) }
            builder?.add(event)
            isTooLarge = minute.size + size > byteLimit
            return !isTooLarge
        }

        private mutating func close() {
            if let rows = builder?.rows() { minute.append(rows) }
            builder = nil
        }

        /// `nil` if the minute is too large.
        mutating func finish() -> LiveMinute? {
            close()
            return isTooLarge || minute.size > byteLimit ? nil : minute
        }
    }
}
