/// Divides a time range into whole days, hours and minutes, and the remaining parts of minutes. Pure.
///
/// No part spans a boundary, except an hour: it has a count per quarter, so a boundary may lie between two quarters.
struct RangeDecomposition: Equatable {
    var days: [Range<Int64>] = []
    var hours: [Range<Int64>] = []
    var minutes: [Range<Int64>] = []
    var edges: [Range<Timestamp>] = []

    /// - Parameter boundaries: In ascending order.
    init(_ range: Range<Timestamp>, boundaries: [Timestamp] = []) {
        let boundaries = boundaries.map(\.milliseconds)
        var rest = [range.lowerBound.milliseconds..<range.upperBound.milliseconds]
        days = Self.takeWhole(.day, from: &rest, boundaries)
        hours = Self.takeWhole(.hour, from: &rest, boundaries)
        minutes = Self.takeWhole(.minute, from: &rest, boundaries)
        edges = Self.cut(rest, at: boundaries).flatMap(Self.cutAtMinutes)
    }

    /// Moves whole UTC days out of the hours, and returns them.
    mutating func takeDaysOfHours() -> [Range<Int64>] {
        let length = RollupTier.day.parts
        var (days, left): ([Range<Int64>], [Range<Int64>]) = ([], [])
        for range in hours {
            let first = floorDivide(range.lowerBound + length - 1, by: length)
            let end = floorDivide(range.upperBound, by: length)
            guard first < end else {
                left.append(range)
                continue
            }
            days.append(first..<end)
            left += [range.lowerBound..<first * length, end * length..<range.upperBound].filter { !$0.isEmpty }
        }
        hours = left
        return days
    }

    /// Everything except the edges, as minutes.
    var wholeMinutes: [Range<Int64>] {
        let all = days.scaled(by: RollupTier.day.parts * RollupTier.hour.parts) + hours.scaled(by: RollupTier.hour.parts) + minutes
        return all.sorted { $0.lowerBound < $1.lowerBound }.merged()
    }

    /// Moves the whole buckets of a tier out of ranges of milliseconds.
    private static func takeWhole(_ tier: RollupTier, from rest: inout [Range<Int64>], _ boundaries: [Int64]) -> [Range<Int64>] {
        let length = tier.milliseconds
        let unit = tier == .hour ? BucketSpan.quarter : length
        let splitting = boundaries.filter { !$0.isMultiple(of: unit) }
        var (whole, left): ([Range<Int64>], [Range<Int64>]) = ([], [])
        for piece in cut(rest, at: splitting) {
            let first = floorDivide(piece.lowerBound + length - 1, by: length)
            let end = floorDivide(piece.upperBound, by: length)
            if first < end {
                whole.append(first..<end)
                left += [piece.lowerBound..<first * length, end * length..<piece.upperBound].filter { !$0.isEmpty }
            } else {
                left.append(piece)
            }
        }
        rest = left.merged()
        return whole.merged()
    }

    /// Both are in ascending order.
    private static func cut(_ ranges: [Range<Int64>], at boundaries: [Int64]) -> [Range<Int64>] {
        var parts: [Range<Int64>] = []
        var rest = boundaries[...]
        for range in ranges {
            var start = range.lowerBound
            while let boundary = rest.first, boundary < range.upperBound {
                if boundary > start {
                    parts.append(start..<boundary)
                    start = boundary
                }
                rest.removeFirst()
            }
            parts.append(start..<range.upperBound)
        }
        return parts
    }

    private static func cutAtMinutes(_ range: Range<Int64>) -> [Range<Timestamp>] {
        let minute = RollupTier.minute.milliseconds
        var parts: [Range<Timestamp>] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min((floorDivide(start, by: minute) + 1) * minute, range.upperBound)
            parts.append(Timestamp(milliseconds: start)..<Timestamp(milliseconds: end))
            start = end
        }
        return parts
    }
}
