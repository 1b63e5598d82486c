/// How many events there are, by type or by source.
@dynamicMemberLookup
public struct CountQuery: Sendable, Equatable {
    public enum Grouping: String, Sendable, CaseIterable {
        case type
        case source
    }

    public var selection: Selection
    public var grouping: Grouping
    /// How many groups the answer names, within ``limits``.
    public var limit: Int

    public static let limits = 1...10_000
    public static let defaultLimit = 1_000

    public init(_ selection: Selection, grouping: Grouping = .type, limit: Int = Self.defaultLimit) {
        self.selection = selection
        self.grouping = grouping
        self.limit = limit
    }

    public subscript<Value>(dynamicMember member: WritableKeyPath<Selection, Value>) -> Value {
        get { selection[keyPath: member] }
        set { selection[keyPath: member] = newValue }
    }
}

/// Cuts a range of time into whole days, whole hours and minutes at their sides, and what is left at the edges. Pure.
struct RangeDecomposition: Equatable {
    var days: Range<Int64> = 0..<0
    var hours: [Range<Int64>] = []
    var minutes: [Range<Int64>] = []
    var edges: [Range<Timestamp>] = []

    init(_ range: Range<Timestamp>) {
        let minute = RollupTier.minute.milliseconds
        let first = floorDivide(range.lowerBound.milliseconds + minute - 1, by: minute)
        let end = floorDivide(range.upperBound.milliseconds, by: minute)
        guard first <= end else {
            edges = [range]
            return
        }
        edges = [range.lowerBound..<Timestamp(minute: first), Timestamp(minute: end)..<range.upperBound].filter { !$0.isEmpty }
        let (wholeHours, sides) = Self.whole(of: first..<end, .hour)
        minutes = sides
        (days, hours) = Self.whole(of: wholeHours, .day)
    }

    /// The whole buckets of a tier in a range of the finer one, and what lies beside them.
    private static func whole(of range: Range<Int64>, _ tier: RollupTier) -> (whole: Range<Int64>, sides: [Range<Int64>]) {
        let first = floorDivide(range.lowerBound + tier.parts - 1, by: tier.parts)
        let end = floorDivide(range.upperBound, by: tier.parts)
        guard first < end else { return (0..<0, [range].filter { !$0.isEmpty }) }
        return (first..<end, [range.lowerBound..<first * tier.parts, end * tier.parts..<range.upperBound].filter { !$0.isEmpty })
    }
}

/// Cuts ranges into lists that a query can take: no more than `count` ranges, and no more than `length` indexes, in each.
func slices(_ ranges: [Range<Int64>], count: Int = 200, length: Int64) -> [[Range<Int64>]] {
    var slices: [[Range<Int64>]] = []
    var slice: [Range<Int64>] = []
    var room = length
    for range in ranges {
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min(range.upperBound, start + room)
            slice.append(start..<end)
            room -= end - start
            start = end
            if room == 0 || slice.count == count {
                slices.append(slice)
                (slice, room) = ([], length)
            }
        }
    }
    return slice.isEmpty ? slices : slices + [slice]
}

/// Joins ascending indexes into ranges, across gaps of at most `gap` indexes that may all be passed over.
func coalesce(
    _ indexes: some Sequence<Int64>, acrossGapsOf gap: Int64 = 0, passingOver mayPass: (Int64) -> Bool = { _ in true }
) -> [Range<Int64>] {
    var ranges: [Range<Int64>] = []
    for index in indexes {
        if let last = ranges.last, index - last.upperBound <= gap, (last.upperBound..<index).allSatisfy(mayPass) {
            ranges[ranges.count - 1] = last.lowerBound..<index + 1
        } else {
            ranges.append(index..<index + 1)
        }
    }
    return ranges
}

extension [Range<Int64>] {
    /// Ranges of buckets as those of what is `parts` times as fine.
    func scaled(by parts: Int64) -> Self { map { $0.lowerBound * parts..<$0.upperBound * parts } }

    /// What of ranges in their order lies at an index or behind it.
    func from(_ index: Int64) -> Self {
        drop { $0.upperBound <= index }.map { Swift.max($0.lowerBound, index)..<$0.upperBound }
    }

    /// What of them lies before an index.
    func before(_ index: Int64) -> Self {
        prefix { $0.lowerBound < index }.map { $0.lowerBound..<Swift.min($0.upperBound, index) }
    }
}
