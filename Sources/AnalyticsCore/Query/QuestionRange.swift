/// The range of a question, divided into buckets of an interval in a time zone. Pure.
public struct QuestionRange: Sendable {
    public let zone: ZoneName
    public let interval: CalendarInterval
    public let from: Timestamp
    public let to: Timestamp
    /// The starts of the buckets that the range touches. The first start may be before the range.
    public let starts: [Timestamp]
    private let calendar: BucketCalendar

    /// Maximum number of buckets in one answer: a year of hours, or a week of minutes.
    public static let maximumBuckets = 11_000

    public struct TooManyBuckets: Error {}

    /// - Parameters:
    ///   - from: If `nil`, chosen so that the range has ``CalendarInterval/usualCount`` buckets.
    ///   - to: If `nil`, the end of the bucket that contains `now`.
    ///   - hasBuckets: Whether the question divides its range; else ``starts`` is empty.
    ///   - usualCount: Replaces the interval's count of buckets for a range without `from`.
    public init(
        zone: ZoneName, rules: ZoneRules, interval: CalendarInterval, from: Timestamp?, to: Timestamp?, now: Timestamp,
        hasBuckets: Bool = true, usualCount: Int? = nil
    ) throws(TooManyBuckets) {
        let calendar = BucketCalendar(interval: interval, rules: rules)
        let to = to ?? calendar.next(after: now)
        let last = calendar.start(of: to - .milliseconds(1))
        let from = from ?? max(.earliest, calendar.start((usualCount ?? interval.usualCount) - 1, before: last))
        try self.init(zone: zone, calendar: calendar, from: from, to: to, hasBuckets: hasBuckets)
    }

    private init(
        zone: ZoneName, calendar: BucketCalendar, from: Timestamp, to: Timestamp, hasBuckets: Bool = true
    ) throws(TooManyBuckets) {
        let range = from..<max(from + .milliseconds(1), to)
        let starts = hasBuckets ? calendar.starts(in: range, limit: Self.maximumBuckets) : []
        guard let starts else { throw TooManyBuckets() }
        (self.zone, self.calendar, self.from, self.to, self.starts) = (zone, calendar, from, to, starts)
        interval = calendar.interval
    }

    /// The start of the first bucket whose part of the range has not ended at a moment.
    public func incompleteFrom(at time: Timestamp) -> Timestamp? {
        guard time < to, let last = starts.last else { return nil }
        return zip(starts, starts.dropFirst()).first { $1 > time }?.0 ?? last
    }

    /// The same for whole buckets, including what lies outside the range.
    public func openBucket(at time: Timestamp) -> Timestamp? {
        zip(starts, starts.dropFirst() + following(1)).first { $1 > time }?.0
    }

    /// The start of the bucket before the first one.
    public var previousStart: Timestamp { calendar.start(1, before: calendar.start(of: from)) }

    /// The starts of the buckets after the last one.
    public func following(_ count: Int) -> [Timestamp] {
        var starts: [Timestamp] = []
        while starts.count < count, let last = starts.last ?? self.starts.last { starts.append(calendar.next(after: last)) }
        return starts
    }

    /// An earlier range with the same weekdays, or days of the month.
    public func previous() throws(TooManyBuckets) -> QuestionRange {
        let shift: (Int64) -> Int64
        if interval == .month {
            let months = Int64(starts.count)
            shift = { Self.monthsBefore($0, months) }
        } else {
            let week: Int64 = 7 * 86_400_000
            let weeks = max(1, floorDivide(calendar.rules.local(to) - calendar.rules.local(from) + week - 1, by: week))
            shift = { $0 - weeks * week }
        }
        let moments = [from, to].map { calendar.rules.firstMoment(showing: shift(calendar.rules.local($0))) }
        // If the earlier month has neither day, the range is empty.
        return try QuestionRange(zone: zone, calendar: calendar, from: moments[0], to: max(moments[0], moments[1]))
    }

    /// A range with the same zone and interval.
    public func range(from: Timestamp, to: Timestamp) throws(TooManyBuckets) -> QuestionRange {
        try QuestionRange(zone: zone, calendar: calendar, from: from, to: to)
    }

    /// Milliseconds of a local clock. A day that the month does not have becomes its last day.
    private static func monthsBefore(_ local: Int64, _ months: Int64) -> Int64 {
        let day = floorDivide(local, by: 86_400_000)
        var date = CivilDate(daysSince1970: day)
        let month = date.year * 12 + date.month - 1 - months
        date.year = floorDivide(month, by: 12)
        date.month = month - date.year * 12 + 1
        date.day = min(date.day, CivilDate.days(inMonth: date.month, of: date.year))
        return date.daysSince1970 * 86_400_000 + (local - day * 86_400_000)
    }

    /// RFC 3339, with the zone's offset.
    public func text(_ time: Timestamp) -> String { time.rfc3339(offset: calendar.rules.offset(at: time)) }
}
