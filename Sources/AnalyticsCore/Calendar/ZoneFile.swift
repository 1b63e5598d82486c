/// Reads a compiled time zone: RFC 8536, version 2 and later. The content is untrusted.
struct ZoneFile {
    private var bytes: ArraySlice<UInt8>

    private struct Counts {
        var utIndicators: Int
        var standardIndicators: Int
        var leapSeconds: Int
        var times: Int
        var types: Int
        var characters: Int

        func size(time: Int) -> Int {
            times * (time + 1) + types * 6 + characters + leapSeconds * (time + 4) + standardIndicators + utIndicators
        }
    }

    /// `nil` if the file is invalid.
    static func rules(_ bytes: [UInt8]) -> ZoneRules? {
        var file = ZoneFile(bytes: bytes[...])
        guard let first = file.header(), file.take(first.size(time: 4)) != nil, let counts = file.header(),
            counts.leapSeconds == 0
        else { return nil }
        return file.rules(counts)
    }

    private mutating func rules(_ counts: Counts) -> ZoneRules? {
        guard let times = take(counts.times * 8), let indexes = take(counts.times), let types = take(counts.types * 6),
            take(counts.characters + counts.standardIndicators + counts.utIndicators) != nil, counts.types > 0
        else { return nil }
        // RFC 8536, section 3.2: type 0 applies before the first transition.
        let offsets = (0..<counts.types).map { Int64(Int32(truncatingIfNeeded: Self.integer(types.dropFirst($0 * 6).prefix(4)))) }
        guard offsets.allSatisfy({ abs($0) < 2 * 86_400 }), indexes.allSatisfy({ $0 < counts.types }) else { return nil }
        var list = ChangeList(offset: offsets[0])
        for (index, type) in indexes.enumerated() {
            guard list.add(Self.integer(times.dropFirst(index * 8).prefix(8)), offsets[Int(type)]) else { return nil }
        }
        guard let footer = footer() else { return nil }
        if !footer.isEmpty {
            guard let rule = ZoneRule(footer) else { return nil }
            for change in rule.changes(after: list.changes.last) where !list.add(change.second, change.offset) { return nil }
        }
        return ZoneRules(changes: list.changes, offsets: list.offsets)
    }

    private struct ChangeList {
        var changes: [Int64] = []
        var offsets: [Int64]

        init(offset: Int64) {
            offsets = [offset]
        }

        /// `false` if it does not come after the others. A transition that changes nothing is left out.
        mutating func add(_ second: Int64, _ offset: Int64) -> Bool {
            guard changes.last.map({ $0 < second }) ?? true else { return false }
            // Before the year 1: it applies from the beginning.
            guard second >= Timestamp.earliest.milliseconds / 1_000 else {
                offsets = [offset]
                return true
            }
            guard offset != offsets.last, second < ZoneRules.horizon else { return true }
            changes.append(second)
            offsets.append(offset)
            return true
        }
    }

    private mutating func header() -> Counts? {
        guard let magic = take(4), magic.elementsEqual("TZif".utf8), let version = take(1), version.first! >= UInt8(ascii: "2"),
            take(15) != nil, let counts = take(24)
        else { return nil }
        let numbers = (0..<6).map { Int(Self.integer(counts.dropFirst($0 * 4).prefix(4))) }
        return Counts(
            utIndicators: numbers[0], standardIndicators: numbers[1], leapSeconds: numbers[2], times: numbers[3], types: numbers[4],
            characters: numbers[5])
    }

    private mutating func footer() -> String? {
        guard take(1)?.first == UInt8(ascii: "\n"), bytes.last == UInt8(ascii: "\n") else { return nil }
        return String(validating: bytes.dropLast(), as: UTF8.self)
    }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count <= bytes.count else { return nil }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count)
    }

    /// Big-endian; 8 bytes are signed.
    private static func integer(_ bytes: ArraySlice<UInt8>) -> Int64 { bytes.reduce(0) { $0 << 8 | Int64($1) } }
}
