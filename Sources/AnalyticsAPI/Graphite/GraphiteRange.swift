internal import AnalyticsCore

/// How long the buckets of series are.
enum GraphiteStep: Sendable, Equatable {
    /// A number of them that divides a day.
    case minutes(Int64)
    case day
    /// From Monday.
    case week
    case month

    /// What is chosen from, the finest first. Quarters of an hour and what they make up are read from rollups of hours.
    static let automatic: [GraphiteStep] = [1, 5, 15, 30, 60, 180, 360].map { .minutes($0) } + [.day, .week, .month]

    /// `nil` for a length that is not to be had.
    init?(_ text: String) {
        guard let duration = GraphiteDuration(text), duration.count > 0 else { return nil }
        switch (duration.unit, duration.count) {
        case (.week, 1), (.day, 7): self = .week
        case (.month, 1): self = .month
        case (.week, _), (.month, _), (.year, _): return nil
        default:
            let seconds = duration.seconds
            if seconds == 86_400 {
                self = .day
            } else if seconds.isMultiple(of: 60), Int64(86_400).isMultiple(of: seconds) {
                self = .minutes(seconds / 60)
            } else {
                return nil
            }
        }
    }

    static let help = "minutes or hours that divide a day, 1d, 1w from Monday, or 1mon"

    /// The buckets that these are made up of.
    fileprivate var interval: CalendarInterval {
        switch self {
        case .minutes(let count): count.isMultiple(of: 60) ? .hour : .minute
        case .day: .day
        case .week: .week
        case .month: .month
        }
    }

    /// No bucket is longer, clocks that are set included.
    fileprivate var longest: Duration {
        switch self {
        case .minutes(let count): .seconds(count * 60)
        case .day: .seconds(3 * 86_400)
        case .week: .seconds(9 * 86_400)
        case .month: .seconds(33 * 86_400)
        }
    }

    fileprivate func begins(at local: Int64) -> Bool {
        guard case .minutes(let count) = self else { return true }
        return local.isMultiple(of: count * 60_000)
    }
}

/// The buckets that series have: whole ones, of which `from` lies in the first and `until` in the last. Pure.
///
/// Whole, so that a point means the same whenever it is asked for, and the same question has the same answer in the cache.
struct GraphiteRange: Sendable {
    let zone: ZoneName
    let rules: ZoneRules
    /// As asked.
    let from: Timestamp
    let until: Timestamp
    let step: GraphiteStep
    let starts: [Timestamp]
    /// Of the last bucket.
    let end: Timestamp

    /// Throws where there are more buckets than an answer may have.
    init(zone: ZoneName, rules: ZoneRules, from: Timestamp, until: Timestamp, step: GraphiteStep) throws(GraphiteFault) {
        (self.zone, self.rules, self.from, self.until, self.step) = (zone, rules, from, until, step)
        let wide: QuestionRange
        do {
            wide = try QuestionRange(
                zone: zone, rules: rules, interval: step.interval, from: max(.earliest, from - step.longest),
                to: min(.latest, until + step.longest), now: from)
        } catch {
            throw GraphiteFault(
                "has more than \(QuestionRange.maximumBuckets) points in this range. Ask for a shorter one, with "
                    + "'from' and 'until', or for a longer interval."
            )
        }
        // The zone's clocks begin a bucket where they show a full one, and where they are set.
        var offset: Int64?
        let all = wide.starts.filter { start in
            let before = offset
            offset = rules.offset(at: start)
            return offset != before || step.begins(at: rules.local(start))
        }
        let first = all.lastIndex { $0 <= from } ?? 0
        let last = all.firstIndex { $0 >= until } ?? all.count
        starts = Array(all[first..<max(first + 1, last)])
        end = last < all.count ? all[last] : until
    }

    /// With the finest buckets of which there are no more than `points`.
    init(zone: ZoneName, rules: ZoneRules, from: Timestamp, until: Timestamp, points: Int) throws(GraphiteFault) {
        for step in GraphiteStep.automatic.dropLast() where (until - from).seconds <= step.longest.seconds * Double(points) {
            // One that has too many is not the last word: a longer step has fewer.
            guard let range = try? GraphiteRange(zone: zone, rules: rules, from: from, until: until, step: step) else { continue }
            if range.starts.count <= points {
                self = range
                return
            }
        }
        try self.init(zone: zone, rules: rules, from: from, until: until, step: .month)
    }

    func with(step: GraphiteStep) throws(GraphiteFault) -> GraphiteRange {
        try GraphiteRange(zone: zone, rules: rules, from: from, until: until, step: step)
    }

    /// The same range at another time, by the same clocks.
    func shifted(by shift: GraphiteShift) throws(GraphiteFault) -> GraphiteRange {
        let moments = [from, until].map { shift.apply($0, rules) }
        guard moments.allSatisfy(\.isValid), moments[0] < moments[1] else {
            throw GraphiteFault("shifts the range beyond the years 1 to 9999.")
        }
        return try GraphiteRange(zone: zone, rules: rules, from: moments[0], until: moments[1], step: step)
    }
}

/// By how much `timeShift` moves a range, later or, with a negative amount, earlier.
enum GraphiteShift: Sendable, Equatable {
    case seconds(Int64)
    /// By the zone's calendar: a week ago is the same weekday at the same time of day.
    case days(Int64)

    init(_ duration: GraphiteDuration) {
        // Without a sign it is into the past, as in Graphite.
        let sign: Int64 = duration.hasSign ? 1 : -1
        self = duration.days.map { .days(sign * $0) } ?? .seconds(sign * duration.seconds)
    }

    var reversed: GraphiteShift {
        switch self {
        case .seconds(let count): .seconds(-count)
        case .days(let count): .days(-count)
        }
    }

    func apply(_ time: Timestamp, _ rules: ZoneRules) -> Timestamp {
        switch self {
        case .seconds(let count): time + .seconds(count)
        case .days(let count): rules.firstMoment(showing: rules.local(time) + count * 86_400_000)
        }
    }
}
