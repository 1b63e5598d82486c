/// Cuts ranges into lists that a query can take: no more than `count` ranges, and no more than `length` indexes, in each.
func slices(_ ranges: [Range<Int64>], count: Int = 200, length: Int64) -> [[Range<Int64>]] {
    var slices: [[Range<Int64>]] = []
    var rest = ranges[...]
    while let slice = rest.popSlice(count: count, length: length) { slices.append(slice) }
    return slices
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

extension ArraySlice<Range<Int64>> {
    /// Takes from the front what one query can take; `nil` when nothing is left.
    mutating func popSlice(count: Int = 200, length: Int64) -> [Range<Int64>]? {
        var slice: [Range<Int64>] = []
        var room = length
        while let range = first, room > 0, slice.count < count {
            let end = Swift.min(range.upperBound, range.lowerBound + room)
            if !range.isEmpty { slice.append(range.lowerBound..<end) }
            room -= end - range.lowerBound
            if end == range.upperBound { removeFirst() } else { self[startIndex] = end..<range.upperBound }
        }
        return slice.isEmpty ? nil : slice
    }
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

    /// Ranges in their order, neighbours as one.
    func merged() -> Self {
        reduce(into: []) { ranges, range in
            if let last = ranges.last, last.upperBound == range.lowerBound {
                ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
            } else {
                ranges.append(range)
            }
        }
    }
}

extension Range<Int64> {
    /// Of a range of minutes.
    var times: Range<Timestamp> { Timestamp(minute: lowerBound)..<Timestamp(minute: upperBound) }
}
