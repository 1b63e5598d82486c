/// A UTC month of the years 1 to 9999.
public struct CivilMonth: Sendable, Hashable, Comparable {
    /// Months since January of the year 0.
    private let number: Int64

    private static let numbers: ClosedRange<Int64> = 12...119_999

    private init(clamping number: Int64) {
        self.number = min(max(number, Self.numbers.lowerBound), Self.numbers.upperBound)
    }

    /// The month of a time, which is clamped to ``Timestamp/earliest`` and ``Timestamp/latest``.
    public init(of time: Timestamp) {
        let date = CivilDate(daysSince1970: min(max(time, .earliest), .latest).day)
        self.init(clamping: date.year * 12 + date.month - 1)
    }

    /// Reads `2026-03`.
    public init?(_ text: String) {
        guard text.utf8.count == 7, let first = Timestamp(rfc3339: text + "-01T00:00:00Z") else { return nil }
        self.init(of: first)
    }

    /// `2026-03`.
    public var text: String { String(decoding: Timestamp(day: days.lowerBound).date.utf8.prefix(7), as: UTF8.self) }

    /// Later or earlier by some months, clamped to the years 1 to 9999.
    func advanced(by months: Int64) -> CivilMonth { CivilMonth(clamping: number + months) }

    /// Months from this one to a later one.
    func distance(to other: CivilMonth) -> Int64 { other.number - number }

    /// Its days since 1970.
    var days: Range<Int64> { Self.firstDay(of: number)..<Self.firstDay(of: number + 1) }

    private static func firstDay(of number: Int64) -> Int64 { CivilDate(year: number / 12, month: number % 12 + 1, day: 1).daysSince1970 }

    public static func < (a: CivilMonth, b: CivilMonth) -> Bool { a.number < b.number }
}
