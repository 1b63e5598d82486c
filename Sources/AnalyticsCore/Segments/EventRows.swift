internal import AnalyticsJSON

/// The field of an event that a column holds.
enum RowField: Sendable, Hashable {
    case type
    case source
    case sessionId
    case userId
    case anonymousId
    case property(PropertyPath)

    /// The text in a segment's head.
    var text: String {
        switch self {
        case .type: "type"
        case .source: "source"
        case .sessionId: "sessionId"
        case .userId: "userId"
        case .anonymousId: "anonymousId"
        case .property(let path): path.text
        }
    }

    init?(_ text: String) {
        switch text {
        case "type": self = .type
        case "source": self = .source
        case "sessionId": self = .sessionId
        case "userId": self = .userId
        case "anonymousId": self = .anonymousId
        default:
            guard let path = try? PropertyPath(text) else { return nil }
            self = .property(path)
        }
    }

    var path: PropertyPath? { if case .property(let path) = self { path } else { nil } }
}

/// Events of a UTC day as columns: one row per event, in the order of (actor, time, id).
final class EventRows: Sendable {
    /// Days since 1970.
    let day: Int64
    /// In ascending order. The first may be ``ActorKey/none``.
    let actors: [ActorKey]
    /// The first row of each actor; then the number of rows.
    let starts: [Int32]
    /// Milliseconds since the start of the day, per row; empty if not requested.
    let times: [UInt32]
    let columns: [RowColumn]
    /// The kind and the id of each actor; `nil` if not requested.
    let names: RowEntries?

    init(day: Int64, actors: [ActorKey], starts: [Int32], times: [UInt32], columns: [RowColumn], names: RowEntries?) {
        self.day = day
        self.actors = actors
        self.starts = starts
        self.times = times
        self.columns = columns
        self.names = names
    }

    var count: Int { Int(starts.last ?? 0) }

    func rows(of actor: Int) -> Range<Int> { Int(starts[actor])..<Int(starts[actor + 1]) }

    /// Approximate bytes in memory.
    var size: Int {
        actors.count * 20 + times.count * 4 + columns.reduce(0) { $0 + $1.codes.count * 4 + $1.entries.size } + (names?.size ?? 0)
    }

    /// The same rows under other actors, sorted by these. An actor that replaces several occurs several times.
    func withActors(_ actor: (ActorKey) -> ActorKey) -> EventRows {
        let renamed = actors.map(actor)
        let order = renamed.indices.sorted { (renamed[$0], $0) < (renamed[$1], $1) }
        let places = order.flatMap { rows(of: $0) }
        var starts: [Int32] = [0]
        for index in order { starts.append(starts[starts.count - 1] + Int32(rows(of: index).count)) }
        return EventRows(
            day: day, actors: order.map { renamed[$0] }, starts: starts, times: times.isEmpty ? [] : places.map { times[$0] },
            columns: columns.map { column in
                column.codes.isEmpty ? column : RowColumn(codes: places.map { column.codes[$0] }, entries: column.entries)
            }, names: names?.picked(order))
    }

    func filtered(actor isActorWanted: (ActorKey) -> Bool, row isRowWanted: (Int) -> Bool = { _ in true }) -> EventRows {
        var kept: [Int32] = []
        kept.reserveCapacity(count)
        var (actors, starts, named): ([ActorKey], [Int32], [Int]) = ([], [], [])
        for actor in self.actors.indices where isActorWanted(self.actors[actor]) {
            let before = kept.count
            for row in rows(of: actor) where isRowWanted(row) { kept.append(Int32(row)) }
            guard kept.count > before else { continue }
            actors.append(self.actors[actor])
            starts.append(Int32(before))
            named.append(actor)
        }
        if kept.count == count { return self }
        starts.append(Int32(kept.count))
        return EventRows(
            day: day, actors: actors, starts: starts, times: times.isEmpty ? [] : kept.map { times[Int($0)] },
            columns: columns.map { $0.codes.isEmpty ? $0 : $0.picked(kept) },
            names: names?.picked(named))
    }

    /// The same rows with the first columns only.
    func prefix(columns count: Int) -> EventRows {
        if columns.count == count { return self }
        return EventRows(
            day: day, actors: actors, starts: starts, times: times, columns: Array(columns.prefix(count)), names: names)
    }
}

/// One value per row, as an index into the distinct values.
struct RowColumn: Sendable {
    /// Per row; empty if all rows have the first entry.
    let codes: [Int32]
    /// Each entry is the scalars of the column's field.
    let entries: RowEntries

    func code(of row: Int) -> Int { codes.isEmpty ? 0 : Int(codes[row]) }

    /// Some rows, with their own entries only: a few rows must not hold the entries of many.
    fileprivate func picked(_ rows: [Int32]) -> RowColumn {
        guard rows.count * 4 < codes.count else { return RowColumn(codes: rows.map { codes[Int($0)] }, entries: entries) }
        var places: [Int32: Int32] = [:]
        var picked = RowEntries()
        let pickedCodes = rows.map { row in
            let code = codes[Int(row)]
            if let place = places[code] { return place }
            let place = Int32(picked.count)
            places[code] = place
            picked.append(entries[Int(code)])
            return place
        }
        return RowColumn(codes: pickedCodes, entries: picked)
    }
}

// MARK: Merging

extension EventRows {
    /// The rows of two pieces of a day that have the same columns, and no time in common. The rows of an actor are in order of time.
    static func merged(_ a: EventRows, _ b: EventRows) -> EventRows {
        // The place of each row; those of `b` follow those of `a`.
        var places: [Int32] = []
        places.reserveCapacity(a.count + b.count)
        var (actors, starts, names): ([ActorKey], [Int32], RowEntries) = ([], [], RowEntries())
        let offset = Int32(a.count)
        var (first, second) = (0, 0)
        while first < a.actors.count || second < b.actors.count {
            let isFirst = second == b.actors.count || (first < a.actors.count && a.actors[first] <= b.actors[second])
            let isSecond = first == a.actors.count || (second < b.actors.count && b.actors[second] <= a.actors[first])
            actors.append(isFirst ? a.actors[first] : b.actors[second])
            starts.append(Int32(places.count))
            if let own = a.names, let other = b.names { names.append(isFirst ? own[first] : other[second]) }
            var rows = isFirst ? a.rows(of: first) : 0..<0
            for row in isSecond ? b.rows(of: second) : 0..<0 {
                while let next = rows.first, a.times[next] <= b.times[row] { places.append(Int32(rows.removeFirst())) }
                places.append(offset + Int32(row))
            }
            for row in rows { places.append(Int32(row)) }
            if isFirst { first += 1 }
            if isSecond { second += 1 }
        }
        starts.append(Int32(places.count))
        return EventRows(
            day: a.day, actors: actors, starts: starts, times: places.map { $0 < offset ? a.times[Int($0)] : b.times[Int($0 - offset)] },
            columns: zip(a.columns, b.columns).map { RowColumn.merged($0, $1, places, offset) }, names: a.names == nil ? nil : names)
    }
}

extension RowColumn {
    fileprivate static func merged(_ a: RowColumn, _ b: RowColumn, _ places: [Int32], _ offset: Int32) -> RowColumn {
        var entries = a.entries
        var codes: [ArraySlice<UInt8>: Int32] = [:]
        for code in 0..<entries.count { codes[a.entries[code]] = Int32(code) }
        let translation = (0..<b.entries.count).map { index in
            let entry = b.entries[index]
            if let code = codes[entry] { return code }
            let code = Int32(entries.count)
            codes[entry] = code
            entries.append(entry)
            return code
        }
        if entries.count == 1 { return RowColumn(codes: [], entries: entries) }
        return RowColumn(
            codes: places.map { $0 < offset ? Int32(a.code(of: Int($0))) : translation[b.code(of: Int($0 - offset))] }, entries: entries)
    }
}

/// Many short byte strings.
struct RowEntries: Sendable, Equatable {
    private(set) var bytes: [UInt8] = []
    private var ends: [Int32] = []

    var count: Int { ends.count }
    var size: Int { bytes.count + ends.count * 4 }

    func range(_ index: Int) -> Range<Int> { (index == 0 ? 0 : Int(ends[index - 1]))..<Int(ends[index]) }

    subscript(index: Int) -> ArraySlice<UInt8> { bytes[range(index)] }

    mutating func append(_ entry: some Collection<UInt8>) {
        bytes.append(contentsOf: entry)
        ends.append(Int32(bytes.count))
    }

    func picked(_ indexes: [Int]) -> RowEntries {
        var picked = RowEntries()
        for index in indexes { picked.append(self[index]) }
        return picked
    }
}

// MARK: Contents of entries

extension RowEntries {
    mutating func append(_ scalars: [JSONScalar]) {
        append(Self.entry(scalars))
    }

    mutating func append(_ name: ActorName?) {
        append([name?.kind.rawValue ?? 0] + Array((name?.id.text ?? "").utf8))
    }

    static func entry(_ scalars: [JSONScalar]) -> [UInt8] {
        var writer = TableWriter()
        for scalar in scalars { writer.scalar(scalar) }
        return writer.bytes
    }

    /// An entry of a column.
    func scalars(_ index: Int) throws(GroupTable.Unreadable) -> [JSONScalar] {
        try cursor(index) { (cursor) throws(GroupTable.Unreadable) in
            var scalars: [JSONScalar] = []
            while !cursor.isAtEnd { scalars.append(try cursor.scalar()) }
            return scalars
        }
    }

    /// An entry of the actors' names; `nil` for events without an actor.
    func name(_ index: Int) throws(GroupTable.Unreadable) -> ActorName? {
        let entry = self[index]
        guard let kind = entry.first, let id = String(validating: entry.dropFirst(), as: UTF8.self) else { throw .damaged }
        guard kind != 0 else { return nil }
        guard let kind = ActorKey.Kind(rawValue: kind) else { throw .damaged }
        return ActorName(kind, id)
    }

    private func cursor<Value>(
        _ index: Int, _ read: (inout TableCursor) throws(GroupTable.Unreadable) -> Value
    ) throws(GroupTable.Unreadable) -> Value {
        try self[index].withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
            var cursor = TableCursor(buffer)
            return try read(&cursor)
        }
    }
}
