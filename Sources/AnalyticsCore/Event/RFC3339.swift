/// RFC 3339 to and from milliseconds. Foundation's formatters read a tenth as fast and not every form that the RFC allows
/// (docs/decisions/own-code.md).
extension Timestamp {
    /// Reads `2026-03-01T12:34:56.789+05:30` and every other form of RFC 3339, section 5.6: `T` or `t` or a space, `Z` or `z` or an
    /// offset, any number of fraction digits (those beyond the third are cut off), second 60 (counted as the next minute's first).
    public init?(rfc3339 text: some Collection<UInt8>) {
        var reader = Reader(rest: text[...])
        guard let year = reader.digits(4), reader.take("-"), let month = reader.digits(2), reader.take("-"),
            let day = reader.digits(2), reader.takeAny("Tt "), let hour = reader.digits(2), reader.take(":"),
            let minute = reader.digits(2), reader.take(":"), let second = reader.digits(2)
        else { return nil }
        guard (1...12).contains(month), day >= 1, day <= Self.days(inMonth: month, of: year), hour < 24, minute < 60, second <= 60
        else { return nil }
        guard let fraction = reader.fraction(), let offset = reader.offset(), reader.rest.isEmpty else { return nil }
        let days = Self.daysSince1970(year: year, month: month, day: day)
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset * 60
        self.init(milliseconds: seconds * 1_000 + fraction)
        guard isValid else { return nil }
    }

    public init?(rfc3339 text: String) {
        self.init(rfc3339: text.utf8)
    }

    /// `2026-03-01T07:04:56.789Z`: always UTC, always three digits of fraction, so that text order is time order. What lies outside of
    /// ``earliest`` to ``latest`` is written as the nearer of the two.
    public var rfc3339: String { min(max(self, .earliest), .latest).written }

    private var written: String {
        let day = self.day
        let (year, month, dayOfMonth) = Self.civil(daysSince1970: day)
        var rest = milliseconds - day * 86_400_000
        var text: [UInt8] = []
        text.reserveCapacity(24)
        func put(_ value: Int64, _ width: Int) {
            var divisor: Int64 = 1
            for _ in 1..<width { divisor *= 10 }
            while divisor > 0 {
                text.append(UInt8(ascii: "0") + UInt8((value / divisor) % 10))
                divisor /= 10
            }
        }
        put(year, 4)
        text.append(UInt8(ascii: "-"))
        put(month, 2)
        text.append(UInt8(ascii: "-"))
        put(dayOfMonth, 2)
        text.append(UInt8(ascii: "T"))
        put(rest / 3_600_000, 2)
        rest %= 3_600_000
        text.append(UInt8(ascii: ":"))
        put(rest / 60_000, 2)
        rest %= 60_000
        text.append(UInt8(ascii: ":"))
        put(rest / 1_000, 2)
        text.append(UInt8(ascii: "."))
        put(rest % 1_000, 3)
        text.append(UInt8(ascii: "Z"))
        return String(decoding: text, as: UTF8.self)
    }

    private static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    private static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The same, civil_from_days.
    private static func civil(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let days = days + 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let monthOfYear = month < 10 ? month + 3 : month - 9
        return (yearOfEra + era * 400 + (monthOfYear <= 2 ? 1 : 0), monthOfYear, dayOfYear - (153 * month + 2) / 5 + 1)
    }
}

private struct Reader<Rest: Collection<UInt8>> where Rest.SubSequence == Rest {
    var rest: Rest

    mutating func digits(_ count: Int) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<count {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    mutating func digit() -> Int64? {
        guard let byte = rest.first, (0x30...0x39).contains(byte) else { return nil }
        rest = rest.dropFirst()
        return Int64(byte - 0x30)
    }

    mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: byte) else { return false }
        rest = rest.dropFirst()
        return true
    }

    mutating func takeAny(_ bytes: StaticString) -> Bool {
        guard let first = rest.first else { return false }
        for index in 0..<bytes.utf8CodeUnitCount where bytes.utf8Start[index] == first {
            rest = rest.dropFirst()
            return true
        }
        return false
    }

    /// Milliseconds; 0 when there is no fraction, `nil` when a dot has no digit behind it.
    mutating func fraction() -> Int64? {
        guard take(".") else { return 0 }
        guard var value = digit() else { return nil }
        var digits = 1
        while let digit = digit() {
            if digits < 3 { value = value * 10 + digit }
            digits += 1
        }
        while digits < 3 {
            value *= 10
            digits += 1
        }
        return value
    }

    /// Minutes east of UTC.
    mutating func offset() -> Int64? {
        if takeAny("Zz") { return 0 }
        let sign: Int64
        if take("+") {
            sign = 1
        } else if take("-") {
            sign = -1
        } else {
            return nil
        }
        guard let hours = digits(2), take(":"), let minutes = digits(2), hours < 24, minutes < 60 else { return nil }
        return sign * (hours * 60 + minutes)
    }
}
