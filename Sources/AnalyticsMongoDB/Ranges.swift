import Algorithms

/// Ranges for queries: in order, disjoint, none empty.
enum Ranges {
    /// Maximum of `$or` alternatives per query. The server takes thousands, but it plans each one and its log lists them all.
    static let alternatives = 500

    static func normalised(_ ranges: [Range<Int64>]) -> [Range<Int64>] {
        var result: [Range<Int64>] = []
        for range in ranges.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound {
                result[result.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }

    /// Splits the ranges into queries of at most ``alternatives`` ranges.
    static func queries(_ ranges: [Range<Int64>]) -> [ArraySlice<Range<Int64>>] { Array(ranges.chunks(ofCount: alternatives)) }
}
