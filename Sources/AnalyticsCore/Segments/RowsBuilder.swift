internal import Algorithms
internal import AnalyticsJSON

/// Makes rows of the events of a UTC day, which arrive in the order of (time, id).
struct RowsBuilder {
    private let day: Int64
    private let fields: [RowField]
    private let hasNames: Bool
    private var numbers: [ActorName: Int32] = [:]
    /// In order of arrival; the first is for events without an actor.
    private var actors: [ActorKey] = [.none]
    private var names: [ActorName?] = [nil]
    private var nameBytes = 0
    private var actorOfRow: [Int32] = []
    private var times: [UInt32] = []
    private var columns: [ColumnBuilder]

    /// - Parameter fields: Their properties are those of the scan, in its order.
    init(day: Int64, fields: [RowField], hasNames: Bool) {
        self.day = day
        self.fields = fields
        self.hasNames = hasNames
        columns = fields.map { _ in ColumnBuilder() }
    }

    var count: Int { times.count }

    /// Approximate bytes in memory.
    var size: Int {
        times.count * (8 + columns.count * 4) + actors.count * 64 + nameBytes + columns.reduce(0) { $0 + $1.entries.size * 3 }
    }

    mutating func add(_ event: ScannedEvent) {
        actorOfRow.append(number(of: ActorName(event)))
        times.append(UInt32(truncatingIfNeeded: event.timestamp.milliseconds - day * RollupTier.day.milliseconds))
        var values = event.values.makeIterator()
        for index in columns.indices {
            switch fields[index] {
            case .type: columns[index].add(event.type)
            case .source: columns[index].add(event.source)
            case .sessionId: columns[index].add(event.sessionId)
            case .userId: columns[index].add(event.userId)
            case .anonymousId: columns[index].add(event.anonymousId)
            case .property: columns[index].add(values.next() ?? [])
            }
        }
    }

    private mutating func number(of name: ActorName?) -> Int32 {
        guard let name else { return 0 }
        if let number = numbers[name] { return number }
        let number = Int32(actors.count)
        numbers[name] = number
        actors.append(name.key)
        names.append(name)
        nameBytes += name.id.text.utf8.count
        return number
    }

    /// A copy without the rows of this minute and later ones.
    func before(minute: Int64) -> RowsBuilder {
        let end = UInt32(truncatingIfNeeded: Timestamp(minute: minute).milliseconds - day * RollupTier.day.milliseconds)
        let count = times.partitioningIndex { $0 >= end }
        var builder = self
        builder.actorOfRow.removeLast(self.count - count)
        builder.times.removeLast(self.count - count)
        for index in columns.indices { builder.columns[index].codes.removeLast(self.count - count) }
        return builder
    }

    func rows() -> EventRows {
        var counts = [Int32](repeating: 0, count: actors.count)
        for actor in actorOfRow { counts[Int(actor)] += 1 }
        let order = actors.indices.filter { counts[$0] > 0 }.sorted { actors[$0] < actors[$1] }
        var starts: [Int32] = []
        var next = [Int32](repeating: 0, count: actors.count)
        var sum: Int32 = 0
        for actor in order {
            starts.append(sum)
            next[actor] = sum
            sum += counts[actor]
        }
        starts.append(sum)
        // The rows of an actor keep their order.
        var places = [Int32](repeating: 0, count: count)
        for (row, actor) in actorOfRow.enumerated() {
            places[row] = next[Int(actor)]
            next[Int(actor)] += 1
        }
        func placed<Value>(_ values: [Value], _ zero: Value) -> [Value] {
            var placed = [Value](repeating: zero, count: values.count)
            for (row, value) in values.enumerated() { placed[Int(places[row])] = value }
            return placed
        }
        var entries: RowEntries?
        if hasNames {
            entries = RowEntries()
            for actor in order { entries?.append(names[actor]) }
        }
        return EventRows(
            day: day, actors: order.map { actors[$0] }, starts: starts, times: placed(times, 0),
            columns: columns.map { RowColumn(codes: $0.entries.count == 1 ? [] : placed($0.codes, 0), entries: $0.entries) },
            names: entries)
    }
}

/// A column under construction.
private struct ColumnBuilder {
    fileprivate(set) var codes: [Int32] = []
    private(set) var entries = RowEntries()
    private var texts: [BytewiseString: Int32] = [:]
    private var others: [[UInt8]: Int32] = [:]

    mutating func add(_ text: String?) {
        if let text { addText(text) } else { addEntry([]) }
    }

    mutating func add(_ scalars: [JSONScalar]) {
        if scalars.count == 1, case .string(let text) = scalars[0] { addText(text) } else { addEntry(RowEntries.entry(scalars)) }
    }

    private mutating func addText(_ text: String) {
        let key = BytewiseString(text)
        if let code = texts[key] { return codes.append(code) }
        let code = Int32(entries.count)
        texts[key] = code
        entries.append([.string(text)])
        codes.append(code)
    }

    private mutating func addEntry(_ entry: [UInt8]) {
        if let code = others[entry] { return codes.append(code) }
        let code = Int32(entries.count)
        others[entry] = code
        entries.append(entry)
        codes.append(code)
    }
}
