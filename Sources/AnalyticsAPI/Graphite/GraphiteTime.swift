internal import AnalyticsCore

/// A length of time in Graphite's syntax: `7d`, `-1h`, `10min`.
struct GraphiteDuration: Sendable, Equatable {
    enum Unit: Sendable {
        case second, minute, hour, day, week, month, year
    }

    /// Negative with a `-`.
    var count: Int64
    var unit: Unit
    /// Whether it begins with `+` or `-`.
    var hasSign: Bool

    /// Limits for the digits and for the value in seconds, which is more than 9999 years.
    private static let longest = (digits: 12, seconds: Int64(400_000_000_000))

    /// `nil` for invalid text.
    init?(_ text: String) {
        var rest = text.utf8[...]
        let sign = rest.first
        hasSign = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
        if hasSign { rest.removeFirst() }
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        guard (1...Self.longest.digits).contains(digits.count),
            let unit = Self.unit(String(decoding: rest.dropFirst(digits.count), as: UTF8.self))
        else { return nil }
        let amount = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - 0x30) }
        count = sign == UInt8(ascii: "-") ? -amount : amount
        self.unit = unit
        guard abs(seconds) <= Self.longest.seconds else { return nil }
    }

    /// graphite-web, render/attime.py, `getUnitString`.
    private static func unit(_ text: String) -> Unit? {
        switch text {
        case "s", "sec", "secs", "second", "seconds": .second
        case "m", "min", "mins", "minute", "minutes": .minute
        case "h", "hour", "hours": .hour
        case "d", "day", "days": .day
        case "w", "week", "weeks": .week
        case "mon", "month", "months": .month
        case "y", "year", "years": .year
        default: nil
        }
    }

    /// A month has 30 days and a year 365, as in Graphite.
    var seconds: Int64 {
        switch unit {
        case .second: count
        case .minute: count * 60
        case .hour: count * 3_600
        case .day: count * 86_400
        case .week: count * 7 * 86_400
        case .month: count * 30 * 86_400
        case .year: count * 365 * 86_400
        }
    }

    /// Whole days, for units that follow the zone's calendar; `nil` for seconds, minutes and hours.
    var days: Int64? {
        switch unit {
        case .second, .minute, .hour: nil
        default: seconds / 86_400
        }
    }
}

/// `from` and `until` in Graphite's forms. Pure.
enum GraphiteTime {
    static let help =
        "must be seconds since 1970, 'now', a length of time such as -1h or now-7d (s, min, h, d, w, mon, y), HH:MM_YYYYMMDD or YYYYMMDD."

    /// Dates and times of day are in the zone's local time. `nil` for an unknown form, or a time outside the years 1 to 9999.
    static func moment(_ text: String, now: Timestamp, rules: ZoneRules) -> Timestamp? {
        guard let time = read(text, now: now, rules: rules), time.isValid else { return nil }
        return time
    }

    private static func read(_ text: String, now: Timestamp, rules: ZoneRules) -> Timestamp? {
        if text.equalsUTF8("now") { return now }
        if let date = date(text, rules: rules) { return date }
        if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return text.utf8.count > 12 ? nil : Int64(text).map { Timestamp(milliseconds: $0 * 1_000) }
        }
        let length = text.starts(withUTF8: "now") ? text.trimmingUTF8(first: 3) : text
        guard let duration = GraphiteDuration(length), duration.hasSign else { return nil }
        return now + .seconds(duration.seconds)
    }

    /// `HH:MM_YYYYMMDD`, or `YYYYMMDD`, which like in graphite-web is a date whenever it is a valid one.
    private static func date(_ text: String, rules: ZoneRules) -> Timestamp? {
        let (clock, day) = text.cutUTF8(atFirst: "_").map { (String($0.before), String($0.after)) } ?? ("00:00", text)
        guard day.utf8.count == 8, clock.utf8.count == 5 else { return nil }
        let digits = Array(day.utf8)
        let written = [digits[0..<4], digits[4..<6], digits[6..<8]].map { String(decoding: $0, as: UTF8.self) }.joined(separator: "-")
        guard let local = Timestamp(rfc3339: "\(written)T\(clock):00Z"), local >= Timestamp(milliseconds: 0) else { return nil }
        return rules.firstMoment(showing: local.milliseconds)
    }
}
