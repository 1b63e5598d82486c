/// The length of a question's buckets, by the clock and calendar of a time zone.
public enum CalendarInterval: String, Sendable, CaseIterable {
    case minute
    case hour
    case day
    /// From Monday.
    case week
    case month

    /// Number of buckets if the question gives no start.
    var usualCount: Int {
        switch self {
        case .minute: 60
        case .hour: 24
        case .day: 30
        case .week, .month: 12
        }
    }
}

/// Where the buckets of an interval begin in a zone (definitions: docs/queries.md). Pure.
struct BucketCalendar: Sendable {
    let interval: CalendarInterval
    let rules: ZoneRules

    /// The start of the bucket that contains `time`.
    func start(of time: Timestamp) -> Timestamp {
        guard let length = unit else { return date(of: time).start }
        let local = rules.local(time)
        let start = Timestamp(milliseconds: time.milliseconds - (local - floorDivide(local, by: length) * length))
        // A change of the UTC offset begins a new bucket.
        return rules.changes(in: start..<time + .milliseconds(1)).last ?? start
    }

    /// The start of the bucket after the one that contains `time`.
    func next(after time: Timestamp) -> Timestamp {
        guard let length = unit else { return date(of: time).next }
        let local = rules.local(time)
        let next = Timestamp(milliseconds: time.milliseconds - local + (floorDivide(local, by: length) + 1) * length)
        return rules.changes(in: time..<next).first ?? next
    }

    /// The starts of the buckets that a range touches, in order. The first may lie before the range. `nil` if there are more than `limit`.
    func starts(in range: Range<Timestamp>, limit: Int) -> [Timestamp]? {
        guard !range.isEmpty else { return [] }
        var starts = [start(of: range.lowerBound)]
        while true {
            let next = next(after: starts[starts.count - 1])
            guard next < range.upperBound else { return starts }
            guard starts.count < limit else { return nil }
            starts.append(next)
        }
    }

    /// The start of the bucket `count` buckets before the one that begins at `start`.
    func start(_ count: Int, before start: Timestamp) -> Timestamp {
        (0..<count).reduce(start) { start, _ in self.start(of: start - .milliseconds(1)) }
    }

    /// Length in milliseconds of local time; `nil` for intervals of whole days.
    private var unit: Int64? {
        switch interval {
        case .minute: 60_000
        case .hour: 3_600_000
        case .day, .week, .month: nil
        }
    }

    /// The day, week or month that contains `time`.
    private func date(of time: Timestamp) -> (start: Timestamp, next: Timestamp) {
        var day = floorDivide(rules.local(time), by: Self.day)
        // If clocks are set back across midnight, they show yesterday's date again. The new day has begun nevertheless.
        if rules.firstMoment(showing: (day + 1) * Self.day) <= time { day += 1 }
        var first = first(of: day)
        var start = rules.firstMoment(showing: first * Self.day)
        var end = rules.firstMoment(showing: following(first) * Self.day)
        // A date that the zone skips has no bucket.
        while end <= time {
            first = following(first)
            (start, end) = (end, rules.firstMoment(showing: following(first) * Self.day))
        }
        return (start, end)
    }

    private static let day: Int64 = 86_400_000

    /// The first day of the bucket that contains `day`; both in days since 1970.
    private func first(of day: Int64) -> Int64 {
        switch interval {
        case .week: return day - CivilDate.weekday(daysSince1970: day)
        case .month:
            var date = CivilDate(daysSince1970: day)
            date.day = 1
            return date.daysSince1970
        default: return day
        }
    }

    private func following(_ first: Int64) -> Int64 {
        switch interval {
        case .week: return first + 7
        case .month:
            var date = CivilDate(daysSince1970: first)
            (date.year, date.month) = date.month == 12 ? (date.year + 1, 1) : (date.year, date.month + 1)
            return date.daysSince1970
        default: return first + 1
        }
    }
}
