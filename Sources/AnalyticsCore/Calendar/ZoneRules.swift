internal import Algorithms

/// When which offset from UTC is in force in a time zone.
public struct ZoneRules: Sendable {
    /// Moments at which the offset changes, in seconds since 1970, rising; ``offsets`` has one element more.
    private let changes: [Int64]
    /// Seconds east of UTC: before the first change, then from each change on.
    private let offsets: [Int64]

    public static let utc = ZoneRules(changes: [], offsets: [0])

    /// Changes are listed up to this year. By 400 years before its end every zone follows one rule, and the Gregorian calendar repeats itself
    /// after 400 years, weekdays included: what is later is looked up so much earlier.
    static let lastYear: Int64 = 2799
    static let horizon = CivilDate(year: lastYear + 1, month: 1, day: 1).daysSince1970 * 86_400
    private static let cycle: Int64 = 146_097 * 86_400
    /// No offset is as large.
    private static let margin: Int64 = 2 * 86_400

    /// - Precondition: One offset more than changes, and changes rise.
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

    /// What the zone's clocks show, in milliseconds since they showed 1970-01-01 00:00.
    package func local(_ time: Timestamp) -> Int64 { time.milliseconds + offset(at: time) }

    /// The first moment at which the zone's clocks show `local` or later. Where they are set back over it, it is the first of two; where they
    /// are set forward over it, it is the moment at which they are set.
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

    /// The day whose date a UTC midnight has. Empty where the zone left the date out.
    public func day(of midnight: Timestamp) -> Range<Timestamp> {
        firstMoment(showing: midnight.milliseconds)..<firstMoment(showing: midnight.milliseconds + 86_400_000)
    }

    /// The moments inside of a range, its start left out, at which the offset changes.
    func changes(in range: Range<Timestamp>) -> [Timestamp] {
        var found: [Timestamp] = []
        var start = range.lowerBound.milliseconds + 1
        // One turn for each 400 years.
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
