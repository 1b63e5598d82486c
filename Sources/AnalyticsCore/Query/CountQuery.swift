/// How many events there are, by type or by source.
public struct CountQuery: Sendable, Equatable {
    public enum Grouping: String, Sendable, CaseIterable {
        case type
        case source
    }

    public var project: String
    /// Any of these; all when empty.
    public var types: [String]
    public var sources: [String]
    /// First moment inside the range; from the first event on when `nil`.
    public var from: Timestamp?
    /// First moment after the range; up to the last event when `nil`.
    public var to: Timestamp?
    public var grouping: Grouping

    public init(
        project: String, types: [String] = [], sources: [String] = [], from: Timestamp? = nil, to: Timestamp? = nil,
        grouping: Grouping = .type
    ) {
        self.project = project
        self.types = types
        self.sources = sources
        self.from = from
        self.to = to
        self.grouping = grouping
    }
}

public struct Counts: Sendable, Equatable {
    public var total: Int64
    /// Largest first, ties by name.
    public var groups: [(name: String, count: Int64)]

    static let none = Counts(total: 0, groups: [])

    private init(total: Int64, groups: [(name: String, count: Int64)]) {
        self.total = total
        self.groups = groups
    }

    /// `nil` when they add up to more than 64 bits hold: some of them are no counts.
    init?(exact counts: [ExactText: Int64]) {
        var total: Int64 = 0
        for count in counts.values {
            let (sum, overflow) = total.addingReportingOverflow(count)
            if overflow { return nil }
            total = sum
        }
        self.init(
            total: total,
            groups: counts.map { (name: $0.key.text, count: $0.value) }
                .sorted { $0.count != $1.count ? $0.count > $1.count : $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) })
    }

    public static func == (a: Counts, b: Counts) -> Bool {
        a.total == b.total && a.groups.elementsEqual(b.groups) { $0.count == $1.count && ExactText($0.name) == ExactText($1.name) }
    }
}

/// Cuts a range of time into whole hours, whole minutes at their sides, and what is left at the edges. Pure.
struct RangeCover: Equatable {
    var hours: Range<Int64>
    var minutes: [Range<Int64>]
    var edges: [Range<Timestamp>]

    init(_ range: Range<Timestamp>) {
        let minute = RollupTier.minute.milliseconds
        let firstMinute = floorDivide(range.lowerBound.milliseconds + minute - 1, by: minute)
        let endMinute = floorDivide(range.upperBound.milliseconds, by: minute)
        guard firstMinute <= endMinute else {
            (hours, minutes, edges) = (0..<0, [], [range])
            return
        }
        let firstEdge = range.lowerBound..<Timestamp(milliseconds: firstMinute * minute)
        let lastEdge = Timestamp(milliseconds: endMinute * minute)..<range.upperBound
        let firstHour = floorDivide(firstMinute + 59, by: 60)
        let endHour = floorDivide(endMinute, by: 60)
        if firstHour < endHour {
            hours = firstHour..<endHour
            minutes = [firstMinute..<firstHour * 60, endHour * 60..<endMinute].filter { !$0.isEmpty }
        } else {
            hours = 0..<0
            minutes = [firstMinute..<endMinute].filter { !$0.isEmpty }
        }
        edges = [firstEdge, lastEdge].filter { !$0.isEmpty }
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
