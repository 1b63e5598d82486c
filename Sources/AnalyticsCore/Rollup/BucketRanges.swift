/// Divides ranges into lists for one query each: at most `count` ranges and `length` indexes per list.
func slices(_ ranges: [Range<Int64>], count: Int = 200, length: Int64) -> [[Range<Int64>]] {
    var slices: [[Range<Int64>]] = []
    var rest = ranges[...]
    while let slice = rest.popSlice(count: count, length: length) { slices.append(slice) }
    return slices
}

/// Joins ascending indexes into ranges. A gap of at most `gap` indexes is included if `mayPass` holds for each of them.
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
    /// Removes from the front the ranges for one query; `nil` if nothing is left.
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
    /// The same ranges in indexes that are `parts` times finer.
    func scaled(by parts: Int64) -> Self { map { $0.lowerBound * parts..<$0.upperBound * parts } }

    /// The part of ascending ranges at or after an index.
    func from(_ index: Int64) -> Self {
        drop { $0.upperBound <= index }.map { Swift.max($0.lowerBound, index)..<$0.upperBound }
    }

    /// The part of ascending ranges before an index.
    func before(_ index: Int64) -> Self {
        prefix { $0.lowerBound < index }.map { $0.lowerBound..<Swift.min($0.upperBound, index) }
    }

    /// Ascending ranges, with adjacent ones joined.
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
    /// The times of a range of minutes.
    var times: Range<Timestamp> { Timestamp(minute: lowerBound)..<Timestamp(minute: upperBound) }
}
