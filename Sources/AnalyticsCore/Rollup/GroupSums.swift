/// Adds up the groups of one bucket: a minute from its rows, an hour from its minutes.
///
/// Bounded: beyond ``GroupTable/maximumRows`` or ``GroupTable/maximumBytes`` it drops its content and is an overflow.
struct GroupSums {
    private var types = Texts()
    private var sources = Texts()
    /// By type and source.
    private var rows: [UInt64: Int] = [:]
    private var counts: [SIMD4<Int64>] = []
    /// Counts of bot events, by row; only rows that have some.
    private var bots: [Int: SIMD4<Int64>] = [:]
    private(set) var isOverflow = false
    private let hasQuarters: Bool

    init(hasQuarters: Bool) {
        self.hasQuarters = hasQuarters
    }

    private struct Texts {
        var places: [BytewiseString: Int] = [:]
        var texts: [BytewiseString] = []
        var bytes = 0
        private var last: (text: BytewiseString, place: Int)?

        mutating func place(of text: String) -> Int {
            let text = BytewiseString(text)
            // Rows come in order: the type is usually that of the previous row.
            if let last, last.text == text { return last.place }
            let place = places[text] ?? append(text)
            last = (text, place)
            return place
        }

        private mutating func append(_ text: BytewiseString) -> Int {
            places[text] = texts.count
            texts.append(text)
            bytes += text.text.utf8.count + 1
            return texts.count - 1
        }
    }

    /// - Parameter bots: The number of bot events in each quarter.
    mutating func add(type: String, source: String, quarters: SIMD4<Int64>, bots: SIMD4<Int64> = .zero) {
        guard !isOverflow else { return }
        add(types.place(of: type), sources.place(of: source), quarters, bots)
    }

    mutating func add(_ group: RollupGroup) {
        var (quarters, bots) = (SIMD4<Int64>(group.count, 0, 0, 0), SIMD4<Int64>.zero)
        if !group.quarters.isEmpty { for (quarter, count) in group.quarters.prefix(4).enumerated() { quarters[quarter] = count } }
        for (quarter, count) in group.bots.prefix(4).enumerated() { bots[quarter] = count }
        add(type: group.type, source: group.source, quarters: quarters, bots: bots)
    }

    private mutating func add(_ type: Int, _ source: Int, _ quarters: SIMD4<Int64>, _ bots: SIMD4<Int64>) {
        let key = UInt64(type) << 32 | UInt64(source)
        let known = rows[key]
        // Each count is at most 2⁴⁰, and a bucket is a sum of 60.
        if bots != .zero { self.bots[known ?? counts.count, default: .zero] &+= bots }
        if let known {
            counts[known] &+= quarters
        } else {
            rows[key] = counts.count
            counts.append(quarters)
            let size = types.bytes + sources.bytes + counts.count * (hasQuarters ? 5 : 2)
            if counts.count > GroupTable.maximumRows || size > GroupTable.maximumBytes { overflow() }
        }
    }

    /// Adds a finer bucket to a quarter. If its groups cannot be read, the sum is an overflow.
    mutating func add(_ table: GroupTable, quarter: Int) {
        do throws(GroupTable.Unreadable) {
            if let groups = try table.earlierGroups() {
                for group in groups { add(type: group.type, source: group.source, quarters: Self.quarters(group.count, quarter)) }
                return
            }
            var (typePlaces, sourcePlaces): ([Int], [Int]) = ([], [])
            var found: [GroupTable.Row] = []
            try table.read { (typeTexts, sourceTexts) throws(GroupTable.Unreadable) in
                guard !isOverflow else { return }
                try typeTexts.each { (text) throws(GroupTable.Unreadable) in typePlaces.append(types.place(of: try GroupTable.string(text)))
                }
                try sourceTexts.each { (text) throws(GroupTable.Unreadable) in
                    sourcePlaces.append(sources.place(of: try GroupTable.string(text)))
                }
            } row: {
                found.append($0)
            }
            for row in found where !isOverflow {
                add(
                    typePlaces[row.type], sourcePlaces[row.source], Self.quarters(row.quarters.wrappedSum(), quarter),
                    Self.quarters(row.bots.wrappedSum(), quarter))
            }
        } catch {
            overflow()
        }
    }

    private static func quarters(_ count: Int64, _ quarter: Int) -> SIMD4<Int64> {
        var quarters = SIMD4<Int64>()
        quarters[quarter] = count
        return quarters
    }

    mutating func overflow() {
        self = GroupSums(hasQuarters: hasQuarters)
        isOverflow = true
    }

    // MARK: The table

    var table: GroupTable {
        guard !isOverflow, counts.allSatisfy({ $0.max() <= RollupGroup.maximumCount }) else { return .overflow }
        guard !counts.isEmpty else { return .empty }
        let (typeOrder, typeRanks) = Self.ranks(types.texts)
        let (sourceOrder, sourceRanks) = Self.ranks(sources.texts)
        var sorted = rows.map { (key: UInt64(typeRanks[Int($0 >> 32)]) << 32 | UInt64(sourceRanks[Int($0 & 0xFFFF_FFFF)]), row: $1) }
        sorted.sort { $0.key < $1.key }
        var writer = TableWriter()
        writer.bytes.reserveCapacity(types.bytes + sources.bytes + counts.count * (hasQuarters ? 6 : 4) + 32)
        writer.bytes += [bots.isEmpty ? GroupTable.format : GroupTable.formatWithBots, hasQuarters ? 4 : 0]
        writer.strings(typeOrder)
        writer.strings(sourceOrder)
        var next = 0
        for type in typeOrder.indices {
            let end = sorted[next...].firstIndex { Int($0.key >> 32) != type } ?? sorted.count
            writer.number(Int64(end - next))
            for (key, row) in sorted[next..<end] {
                writer.number(Int64(key & 0xFFFF_FFFF))
                for quarter in 0..<(hasQuarters ? 4 : 1) { writer.number(counts[row][quarter]) }
                if bots.isEmpty { continue }
                for quarter in 0..<(hasQuarters ? 4 : 1) { writer.number(bots[row]?[quarter] ?? 0) }
            }
            next = end
        }
        return writer.bytes.count > GroupTable.maximumBytes ? .overflow : GroupTable(bytes: writer.bytes)
    }

    /// The texts sorted by bytes, and the rank of each.
    private static func ranks(_ texts: [BytewiseString]) -> (order: [BytewiseString], ranks: [Int]) {
        let order = texts.indices.sorted { texts[$0] < texts[$1] }
        var ranks = Array(repeating: 0, count: texts.count)
        for (rank, index) in order.enumerated() { ranks[index] = rank }
        return (order.map { texts[$0] }, ranks)
    }
}

/// Writes the format that ``TableCursor`` reads.
struct TableWriter {
    var bytes: [UInt8] = []

    mutating func number(_ number: Int64) {
        var rest = UInt64(bitPattern: number)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func text(_ text: String) {
        number(Int64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func strings(_ texts: [BytewiseString]) {
        var inner = TableWriter()
        inner.number(Int64(texts.count))
        for text in texts { inner.text(text.text) }
        number(Int64(inner.bytes.count))
        bytes += inner.bytes
    }
}
