/// The number of events per type and source in a bucket, in the byte format of both stores.
///
/// Each string is stored once, in two dictionaries sorted by bytes; rows refer to strings by index. All numbers are LEB128:
/// `2 · quarters per row (0 or 4) · types · sources · rows`. A dictionary is the number of bytes that follow this number, the number
/// of strings, and each string after its length. The rows are, per type, their number, and per row the index of the source and the
/// count, or the four quarters. If there are bot events, the first number is 3, not 2, and each row continues with as many counts of
/// bot events. A bucket without events has no bytes; the single byte 0 is ``overflow``.
///
/// Earlier versions kept at most 1,000 groups and counted the rest as `__other__`. Their tables are read if no group can have been
/// lost, and otherwise treated like ``overflow``.
public struct GroupTable: Sendable, Equatable {
    private enum Storage: Equatable {
        case bytes([UInt8])
        case earlier([RollupGroup])
    }

    private let storage: Storage

    /// Maximum bytes of a bucket: half of the limit of a MongoDB document, so that the old and the new table fit into one update.
    public static let maximumBytes = 7 << 20
    /// Maximum number of rows of a table; bounds the memory for summing an hour.
    public static let maximumRows = 1 << 19

    public static let empty = GroupTable(bytes: [])

    /// A bucket with more groups than a table may hold. Readers use the finer tier or the events.
    public static let overflow = GroupTable(bytes: [0])

    static let format: UInt8 = 2
    static let formatWithBots: UInt8 = 3

    /// Bytes from a store. They are checked when read.
    public init(bytes: [UInt8]) {
        storage = .bytes(bytes)
    }

    /// Groups as stored in MongoDB by versions up to schema 2.
    public init(earlier groups: [RollupGroup]) {
        storage = .earlier(groups)
    }

    /// `groups` in any order.
    public init(_ groups: [RollupGroup]) {
        var sums = GroupSums(hasQuarters: groups.contains { !$0.quarters.isEmpty })
        for group in groups { sums.add(group) }
        self = sums.table
    }

    /// The bytes to store; empty for a table of an earlier version, which is never written.
    public var bytes: [UInt8] {
        if case .bytes(let bytes) = storage { bytes } else { [] }
    }

    /// Approximate bytes in memory.
    public var size: Int {
        switch storage {
        case .bytes(let bytes): bytes.count
        case .earlier(let groups): groups.count * 64
        }
    }

    /// Why a table's groups cannot be read. Readers use the finer tier.
    public enum Unreadable: Error, Sendable {
        case overflow
        /// Written by a newer version, or damaged.
        case damaged
    }
}

// MARK: Reading

extension GroupTable {
    /// The strings of a dictionary, in place. Valid only within ``read(dictionaries:row:)``.
    struct Strings {
        let count: Int
        let bytes: UnsafeBufferPointer<UInt8>

        func each(_ body: (UnsafeBufferPointer<UInt8>) throws(Unreadable) -> Void) throws(Unreadable) {
            var cursor = TableCursor(bytes)
            for _ in 0..<count { try body(try cursor.text()) }
            guard cursor.isAtEnd else { throw .damaged }
        }
    }

    struct Row {
        /// Indexes in the dictionaries.
        var type: Int
        var source: Int
        /// The count of each quarter of the hour; for a minute, the first holds the whole count.
        var quarters: SIMD4<Int64>
        /// The number of these that are bot events.
        var bots = SIMD4<Int64>.zero
    }

    /// The groups of a table of an earlier version; `nil` for a table of this version.
    func earlierGroups() throws(Unreadable) -> [RollupGroup]? {
        let groups: [RollupGroup]
        switch storage {
        case .earlier(let earlier): groups = earlier
        case .bytes(let bytes):
            guard bytes.first == EarlierGroups.format else { return nil }
            groups = try EarlierGroups.decode(bytes)
        }
        guard !EarlierGroups.mayBeFolded(groups) else { throw .overflow }
        return groups
    }

    /// Whether the table has a count per quarter of an hour, as tables of hours do.
    var hasQuarters: Bool {
        if let groups = try? earlierGroups() { return groups.allSatisfy { $0.quarters.count == 4 } }
        return bytes.count < 2 || bytes[1] == 4
    }

    /// Calls `dictionaries`, then `row` for each row, of a table of this version. Do not use them before this returns: a fault may
    /// show only at the end of the bytes. Each count is from 0 to 2⁴⁰, so all of them sum in 64 bits; counts of bot events do not
    /// exceed the counts.
    func read(
        dictionaries: (_ types: Strings, _ sources: Strings) throws(Unreadable) -> Void, row: (Row) -> Void
    ) throws(Unreadable) {
        guard case .bytes(let bytes) = storage, !bytes.isEmpty else { return }
        guard bytes != Self.overflow.bytes else { throw .overflow }
        try bytes.withUnsafeBufferPointer { (buffer) throws(Unreadable) in
            var cursor = TableCursor(buffer)
            let format = try cursor.byte()
            guard format == Self.format || format == Self.formatWithBots else { throw .damaged }
            let quarters = try cursor.byte()
            guard quarters == 0 || quarters == 4 else { throw .damaged }
            let (types, sources) = (try cursor.strings(), try cursor.strings())
            try dictionaries(types, sources)
            for type in 0..<types.count {
                for _ in 0..<(try cursor.length()) {
                    let source = try cursor.number()
                    guard source < Int64(sources.count) else { throw .damaged }
                    let counts = try cursor.counts(hasQuarters: quarters == 4)
                    let bots = format == Self.format ? .zero : try cursor.counts(hasQuarters: quarters == 4)
                    guard !any(bots .> counts) else { throw .damaged }
                    row(Row(type: type, source: Int(source), quarters: counts, bots: bots))
                }
            }
            guard cursor.isAtEnd else { throw .damaged }
        }
    }

    /// All groups, by type and source.
    public func groups() throws(Unreadable) -> [RollupGroup] {
        if let groups = try earlierGroups() { return groups }
        var types: [String] = []
        var sources: [String] = []
        var groups: [RollupGroup] = []
        let hasQuarters = hasQuarters
        try read { (typeStrings, sourceStrings) throws(Unreadable) in
            try typeStrings.each { (text) throws(Unreadable) in types.append(try Self.string(text)) }
            try sourceStrings.each { (text) throws(Unreadable) in sources.append(try Self.string(text)) }
        } row: { row in
            groups.append(
                RollupGroup(
                    type: types[row.type], source: sources[row.source], count: row.quarters.wrappedSum(),
                    quarters: hasQuarters ? (0..<4).map { row.quarters[$0] } : [],
                    bots: row.bots == .zero ? [] : (0..<(hasQuarters ? 4 : 1)).map { row.bots[$0] }))
        }
        return groups
    }

    /// The number of events in a bucket, including folded tables of earlier versions.
    public func total() throws(Unreadable) -> Int64 {
        let groups: [RollupGroup]
        switch storage {
        case .earlier(let earlier): groups = earlier
        case .bytes(let bytes) where bytes.first == EarlierGroups.format: groups = try EarlierGroups.decode(bytes)
        case .bytes: groups = try self.groups()
        }
        return groups.reduce(0) { $0 &+ $1.count }
    }

    /// Whether an earlier version wrote the table and may have counted groups together.
    public var isFolded: Bool {
        switch storage {
        case .earlier(let groups): EarlierGroups.mayBeFolded(groups)
        case .bytes(let bytes):
            bytes.first == EarlierGroups.format && (try? EarlierGroups.decode(bytes)).map(EarlierGroups.mayBeFolded) ?? false
        }
    }

    /// Whether the bytes are not a valid table.
    var isDamaged: Bool {
        do throws(Unreadable) {
            _ = try groups()
            return false
        } catch {
            return error == .damaged
        }
    }

    static func string(_ text: UnsafeBufferPointer<UInt8>) throws(Unreadable) -> String {
        guard let string = String(validating: text, as: UTF8.self) else { throw .damaged }
        return string
    }
}

/// Reads the bytes of a table or of a cached answer. The bytes are untrusted.
struct TableCursor {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func byte() throws(GroupTable.Unreadable) -> UInt8 {
        guard position < bytes.count else { throw .damaged }
        defer { position += 1 }
        return bytes[position]
    }

    /// A nonnegative number.
    mutating func number() throws(GroupTable.Unreadable) -> Int64 {
        var number: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 63, by: 7) {
            let byte = try byte()
            number |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return Int64(number) }
        }
        throw .damaged
    }

    /// A number of events.
    mutating func count() throws(GroupTable.Unreadable) -> Int64 {
        let number = try number()
        guard number <= RollupGroup.maximumCount else { throw .damaged }
        return number
    }

    /// One count, or four.
    fileprivate mutating func counts(hasQuarters: Bool) throws(GroupTable.Unreadable) -> SIMD4<Int64> {
        var counts = SIMD4<Int64>(try count(), 0, 0, 0)
        if hasQuarters { for quarter in 1..<4 { counts[quarter] = try count() } }
        return counts
    }

    /// The number of elements that follow, each at least one byte.
    mutating func length() throws(GroupTable.Unreadable) -> Int {
        let length = try number()
        guard length <= Int64(bytes.count - position) else { throw .damaged }
        return Int(length)
    }

    mutating func text() throws(GroupTable.Unreadable) -> UnsafeBufferPointer<UInt8> {
        let length = try length()
        defer { position += length }
        return UnsafeBufferPointer(rebasing: bytes[position..<position + length])
    }

    /// Eight bytes, little-endian.
    mutating func word() throws(GroupTable.Unreadable) -> UInt64 { try integers(1, UInt64.self)[0] }

    /// Integers of a fixed width, little-endian.
    mutating func integers<Integer: FixedWidthInteger>(
        _ count: Int, _ type: Integer.Type
    ) throws(GroupTable.Unreadable) -> [Integer] {
        let (length, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Integer>.size)
        guard !overflow, count >= 0, length <= bytes.count - position else { throw .damaged }
        let raw = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[position..<position + length])
        position += length
        let integers = [Integer](unsafeUninitializedCapacity: count) { buffer, initialized in
            UnsafeMutableRawBufferPointer(buffer).copyMemory(from: raw)
            initialized = count
        }
        return Integer(1).littleEndian == 1 ? integers : integers.map { Integer(littleEndian: $0) }
    }

    mutating func strings() throws(GroupTable.Unreadable) -> GroupTable.Strings {
        var inner = TableCursor(try text())
        let count = try inner.length()
        return GroupTable.Strings(count: count, bytes: UnsafeBufferPointer(rebasing: inner.bytes[inner.position...]))
    }
}
