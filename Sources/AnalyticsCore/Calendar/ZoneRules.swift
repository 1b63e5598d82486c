internal import Algorithms

/// The UTC offsets of a time zone, and when each is in force.
public struct ZoneRules: Sendable {
    /// Moments at which the offset changes, in seconds since 1970, ascending; ``offsets`` has one element more.
    private let changes: [Int64]
    /// Seconds east of UTC: before the first change, then from each change on.
    private let offsets: [Int64]

    public static let utc = ZoneRules(changes: [], offsets: [0])

    /// Changes are listed up to this year. At least 400 years before it, every zone follows one rule. The Gregorian calendar repeats every
    /// 400 years, weekdays included, so later times are looked up whole cycles earlier.
    static let lastYear: Int64 = 2799
    static let horizon = CivilDate(year: lastYear + 1, month: 1, day: 1).daysSince1970 * 86_400
    private static let cycle: Int64 = 146_097 * 86_400
    /// Larger than any offset.
    private static let margin: Int64 = 2 * 86_400

    /// - Precondition: `offsets` has one element more than `changes`, and `changes` ascend.
    init(changes: [Int64], offsets: [Int64]) {
        precondition(offsets.count == changes.count + 1)
        self.changes = changes
        self.offsets = offsets
    }

    /// Milliseconds east of UTC.
    public func offset(at time: Timestamp) -> Int64 { offset(atSecond: floorDivide(time.milliseconds, by: 1_000)) * 1_000 }

    func offset(atSecond second: Int64) -> Int64 {
        let second = Self.withinHorizon(second).second
        return offsets[changes.partitioningIndex { $0 > second }]
    }

    /// The zone's local time, in milliseconds since local 1970-01-01 00:00.
    package func local(_ time: Timestamp) -> Int64 { time.milliseconds + offset(at: time) }

    /// The first moment at which the zone's clocks show `local` or later. If clocks are set back across `local`, it is the first of the two
    /// moments. If they are set forward across it, it is the moment of the change.
    package func firstMoment(showing local: Int64) -> Timestamp {
        let (second, cycles) = Self.withinHorizon(floorDivide(local, by: 1_000))
        let wanted = local - cycles * Self.cycle * 1_000
        var index = changes.partitioningIndex { $0 > second - Self.margin }
        while true {
            let start = index == 0 ? Int64.min : changes[index - 1] * 1_000
            let moment = max(start, wanted - offsets[index] * 1_000)
            if index == changes.count || moment < changes[index] * 1_000 {
                return Timestamp(milliseconds: moment + cycles * Self.cycle * 1_000)
            }
            index += 1
        }
    }

    /// The range of the local day with the date of a UTC midnight. Empty if the zone skips the date.
    public func day(of midnight: Timestamp) -> Range<Timestamp> {
        firstMoment(showing: midnight.milliseconds)..<firstMoment(showing: midnight.milliseconds + 86_400_000)
    }

    /// The moments in a range, excluding its start, at which the offset changes.
    func changes(in range: Range<Timestamp>) -> [Timestamp] {
        var found: [Timestamp] = []
        var start = range.lowerBound.milliseconds + 1
        // One iteration per 400 years.
        while start < range.upperBound.milliseconds {
            let shift = Self.withinHorizon(floorDivide(start, by: 1_000)).cycles * Self.cycle
            let end = min(range.upperBound.milliseconds, (Self.horizon - Self.margin + shift) * 1_000)
            for change in changes[changes.partitioningIndex { ($0 + shift) * 1_000 >= start }...] {
                guard (change + shift) * 1_000 < end else { break }
                found.append(Timestamp(milliseconds: (change + shift) * 1_000))
            }
            start = end
        }
        return found
    }

    private static func withinHorizon(_ second: Int64) -> (second: Int64, cycles: Int64) {
        let end = horizon - margin
        guard second >= end else { return (second, 0) }
        let cycles = (second - end) / cycle + 1
        return (second - cycles * cycle, cycles)
    }
}
