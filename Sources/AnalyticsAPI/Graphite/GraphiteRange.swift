internal import AnalyticsCore

/// The length of the buckets of series.
enum GraphiteStep: Sendable, Equatable {
    /// A number of minutes that divides a day.
    case minutes(Int64)
    case day
    /// Begins on Monday.
    case week
    case month

    /// The automatic steps, the finest first. Multiples of a quarter of an hour are read from hourly rollups.
    static let automatic: [GraphiteStep] = [1, 5, 15, 30, 60, 180, 360].map { .minutes($0) } + [.day, .week, .month]

    /// `nil` for an unsupported length.
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

    /// The interval of the buckets that a step combines.
    fileprivate var interval: CalendarInterval {
        switch self {
        case .minutes(let count): count.isMultiple(of: 60) ? .hour : .minute
        case .day: .day
        case .week: .week
        case .month: .month
        }
    }

    /// An upper bound for the length of a bucket, including clock changes.
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

/// The buckets of series: whole buckets, from the one with `from` to the one with `until`. Pure.
///
/// Whole buckets make a point mean the same in every response, and make the same question hit the cache.
struct GraphiteRange: Sendable {
    let zone: ZoneName
    let rules: ZoneRules
    /// As requested.
    let from: Timestamp
    let until: Timestamp
    let step: GraphiteStep
    let starts: [Timestamp]
    /// The end of the last bucket.
    let end: Timestamp

    /// Throws if there are more buckets than an answer may have.
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
        // A bucket begins at a full step of the local time, and at a change of the zone's offset.
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

    /// Uses the finest step with at most `points` buckets.
    init(zone: ZoneName, rules: ZoneRules, from: Timestamp, until: Timestamp, points: Int) throws(GraphiteFault) {
        for step in GraphiteStep.automatic.dropLast() where (until - from).seconds <= step.longest.seconds * Double(points) {
            // Too many buckets are not an error yet: a longer step has fewer.
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

    /// The range shifted in the zone's local time.
    func shifted(by shift: GraphiteShift) throws(GraphiteFault) -> GraphiteRange {
        let moments = [from, until].map { shift.apply($0, rules) }
        guard moments.allSatisfy(\.isValid), moments[0] < moments[1] else {
            throw GraphiteFault("shifts the range beyond the years 1 to 9999.")
        }
        return try GraphiteRange(zone: zone, rules: rules, from: moments[0], until: moments[1], step: step)
    }
}

/// The distance of a `timeShift`: positive is later, negative is earlier.
enum GraphiteShift: Sendable, Equatable {
    case seconds(Int64)
    /// In the zone's calendar: a week earlier is the same weekday at the same local time.
    case days(Int64)

    init(_ duration: GraphiteDuration) {
        // Without a sign it is earlier, as in Graphite.
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
