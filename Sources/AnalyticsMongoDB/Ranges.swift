import Algorithms

/// Ranges as queries take them: in order, apart from one another, none empty.
enum Ranges {
    /// Alternatives of one query. Each is planned by itself; the server takes thousands, a reader of its log does not.
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

    /// Cuts into queries of at most ``alternatives`` ranges.
    static func queries(_ ranges: [Range<Int64>]) -> [ArraySlice<Range<Int64>>] { Array(ranges.chunks(ofCount: alternatives)) }
}
