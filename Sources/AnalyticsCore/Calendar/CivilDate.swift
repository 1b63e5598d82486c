/// A date of the proleptic Gregorian calendar, as in ISO 8601.
struct CivilDate: Sendable, Hashable, Comparable {
    var year: Int64
    var month: Int64
    var day: Int64

    init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    init(daysSince1970 days: Int64) {
        let days = days + 719_468
        let era = floorDivide(days, by: 146_097)
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let monthOfYear = month < 10 ? month + 3 : month - 9
        year = yearOfEra + era * 400 + (monthOfYear <= 2 ? 1 : 0)
        self.month = monthOfYear
        day = dayOfYear - (153 * month + 2) / 5 + 1
    }

    /// Howard Hinnant, days_from_civil.
    var daysSince1970: Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = floorDivide(year, by: 400)
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    static func < (a: Self, b: Self) -> Bool { (a.year, a.month, a.day) < (b.year, b.month, b.day) }

    static func isLeap(_ year: Int64) -> Bool { (year.isMultiple(of: 4) && !year.isMultiple(of: 100)) || year.isMultiple(of: 400) }

    static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// 0 for Monday to 6 for Sunday. 1970-01-01 was a Thursday.
    static func weekday(daysSince1970 days: Int64) -> Int64 { (days + 3) - floorDivide(days + 3, by: 7) * 7 }
}
