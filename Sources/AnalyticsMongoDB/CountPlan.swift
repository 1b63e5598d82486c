/// Cuts the ranges to count or read into queries. A query that runs into the server's time limit is halved: first down to a minute,
/// then down to a millisecond. Pure.
struct CountPlan {
    /// Ranges in order, none empty.
    typealias Query = [Range<Int64>]

    private var rest: ArraySlice<Range<Int64>>
    /// Milliseconds that a query may cover; `nil` until a query ran into the limit.
    private var longest: Int64?

    private static let minute: Int64 = 60_000
    /// A range of at least this many milliseconds is a query of its own.
    static let long: Int64 = 5 * minute

    /// Maximum of ranges per query.
    private let alternatives: Int

    init(_ ranges: [Range<Int64>], alternatives: Int = Ranges.alternatives) {
        rest = ranges[...]
        self.alternatives = alternatives
    }

    /// Removes the next query from the remaining ranges; `nil` at the end. It ends at the end of a minute if it may be that long.
    mutating func next() -> Query? {
        var query: Query = []
        var room = longest ?? .max
        while let range = rest.first, query.count < alternatives {
            let isLong = range.length >= Self.long
            if isLong, !query.isEmpty { break }
            if range.length <= room {
                query.append(rest.removeFirst())
                room -= range.length
                if isLong { break }
                continue
            }
            var end = range.lowerBound + room
            if longest ?? 0 >= Self.minute { end -= modulo(end, Self.minute) }
            if end > range.lowerBound {
                query.append(range.lowerBound..<end)
                rest[rest.startIndex] = end..<range.upperBound
            }
            break
        }
        return query.isEmpty ? nil : query
    }

    /// The query took this fraction of its time limit. After a quick query, the next ones are longer.
    mutating func answered(in part: Double) {
        guard let longest, part < 0.25 else { return }
        self.longest = longest.multipliedReportingOverflow(by: 2).overflow ? nil : longest * 2
    }

    /// The query ran into its limit. Its ranges from `start` on are counted again. Returns false if it cannot be cut any further.
    mutating func halve(_ query: Query, from start: Int64? = nil) -> Bool {
        let length = query.reduce(0) { sum, range in sum.addingReportingOverflow(range.length).overflow ? .max : sum + range.length }
        guard length > 1 else { return false }
        longest = length > Self.minute ? max(Self.minute, length / 2) : length / 2
        let left = query.map { max($0.lowerBound, start ?? $0.lowerBound)..<max($0.upperBound, start ?? $0.upperBound) }
        rest = (left.filter { !$0.isEmpty } + rest)[...]
        return true
    }

    /// The query ran into its limit and cannot be cut, but its caller already has a part of it. The rest becomes the next query.
    mutating func putBack(_ query: Query) { rest = (query + rest)[...] }

    /// Correct for times before 1970 too.
    private func modulo(_ time: Int64, _ unit: Int64) -> Int64 { ((time % unit) + unit) % unit }
}

extension Range<Int64> {
    /// Saturates at 64 bits.
    fileprivate var length: Int64 {
        let (length, overflow) = upperBound.subtractingReportingOverflow(lowerBound)
        return overflow ? .max : length
    }
}
