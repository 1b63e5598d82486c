/// The rule of a zone after its last listed transition: POSIX.1-2017, section 8.3, `TZ`, with the hours of RFC 8536, section 3.3.1.
///
/// `CET-1CEST,M3.5.0,M10.5.0/3`: offsets count west of UTC. By default daylight time is one hour ahead, and changes are at 02:00 of the
/// clock before the change.
struct ZoneRule {
    private enum Day {
        /// 1 to 365; 29 February is never counted.
        case julian(Int64)
        /// 0 to 365.
        case ofYear(Int64)
        /// The `week`th (5: last) `weekday` (0: Sunday) of a month.
        case ofMonth(Int64, week: Int64, weekday: Int64)
    }

    private struct Change {
        var day: Day
        var second: Int64
    }

    let standard: Int64
    private let daylight: (offset: Int64, start: Change, end: Change)?

    init?(_ text: String) {
        var reader = Reader(rest: text.utf8[...])
        guard reader.skipName(), let standard = reader.offset() else { return nil }
        self.standard = -standard
        guard !reader.rest.isEmpty else {
            daylight = nil
            return
        }
        guard reader.skipName() else { return nil }
        let offset = reader.startsTime ? reader.offset().map { -$0 } : .some(3_600 - standard)
        guard let offset, reader.take(","), let start = reader.change(), reader.take(","), let end = reader.change(), reader.rest.isEmpty
        else { return nil }
        daylight = (offset, start, end)
    }

    /// In order, up to ``ZoneRules/horizon``. `second`: the last listed transition.
    func changes(after second: Int64?) -> [(second: Int64, offset: Int64)] {
        guard let daylight else { return [] }
        let first = second.map { CivilDate(daysSince1970: floorDivide($0, by: 86_400)).year } ?? 1970
        var changes: [(second: Int64, offset: Int64)] = []
        for year in max(first, 1)...ZoneRules.lastYear {
            changes.append((Self.second(daylight.start, in: year) - standard, daylight.offset))
            changes.append((Self.second(daylight.end, in: year) - daylight.offset, standard))
        }
        return changes.filter { change in second.map { change.second > $0 } ?? true }.sorted { $0.second < $1.second }
    }

    /// By the clock before the change.
    private static func second(_ change: Change, in year: Int64) -> Int64 {
        let newYear = CivilDate(year: year, month: 1, day: 1).daysSince1970
        let day: Int64
        switch change.day {
        case .julian(let number): day = newYear + number - 1 + (CivilDate.isLeap(year) && number >= 60 ? 1 : 0)
        case .ofYear(let number): day = newYear + number
        case .ofMonth(let month, let week, let weekday):
            let first = CivilDate(year: year, month: month, day: 1).daysSince1970
            // `CivilDate` counts weekdays from Monday, POSIX from Sunday.
            let ahead = (weekday + 6 - CivilDate.weekday(daysSince1970: first) + 7) % 7
            let last = (CivilDate.days(inMonth: month, of: year) - 1 - ahead) / 7
            day = first + ahead + min(week - 1, last) * 7
        }
        return day * 86_400 + change.second
    }

    private struct Reader {
        var rest: Substring.UTF8View

        var startsTime: Bool { rest.first.map { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") || Self.isDigit($0) } ?? false }

        mutating func take(_ byte: Unicode.Scalar) -> Bool {
            guard rest.first == UInt8(ascii: byte) else { return false }
            rest = rest.dropFirst()
            return true
        }

        /// At least three letters, or anything between angle brackets.
        mutating func skipName() -> Bool {
            if take("<") {
                rest = rest.drop { $0 != UInt8(ascii: ">") }
                return take(">")
            }
            let name = rest.prefix { ($0 | 0x20) >= UInt8(ascii: "a") && ($0 | 0x20) <= UInt8(ascii: "z") }
            rest = rest.dropFirst(name.count)
            return name.count >= 3
        }

        /// `[+-]hh[:mm[:ss]]` in seconds, up to 167 hours.
        mutating func offset() -> Int64? {
            let sign: Int64 = take("-") ? -1 : 1
            if sign == 1 { _ = take("+") }
            guard let hours = number(0...167) else { return nil }
            var seconds = hours * 3_600
            if take(":") {
                guard let minutes = number(0...59) else { return nil }
                seconds += minutes * 60
                if take(":") {
                    guard let more = number(0...59) else { return nil }
                    seconds += more
                }
            }
            return sign * seconds
        }

        mutating func change() -> Change? {
            let day: Day
            if take("M") {
                guard let month = number(1...12), take("."), let week = number(1...5), take("."), let weekday = number(0...6) else {
                    return nil
                }
                day = .ofMonth(month, week: week, weekday: weekday)
            } else if take("J") {
                guard let number = number(1...365) else { return nil }
                day = .julian(number)
            } else {
                guard let number = number(0...365) else { return nil }
                day = .ofYear(number)
            }
            guard take("/") else { return Change(day: day, second: 7_200) }
            return offset().map { Change(day: day, second: $0) }
        }

        private mutating func number(_ range: ClosedRange<Int64>) -> Int64? {
            let digits = rest.prefix(while: Self.isDigit)
            guard (1...3).contains(digits.count) else { return nil }
            rest = rest.dropFirst(digits.count)
            let value = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - 0x30) }
            return range.contains(value) ? value : nil
        }

        private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    }
}
