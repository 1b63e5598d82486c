/// The largest groups of an answer, and the sum of the others.
public struct Counts: Sendable, Equatable {
    /// The sum over all groups.
    public let total: Int64
    /// Largest first; equal counts by the bytes of their names. The same events always give the same order.
    public let groups: [(name: String, count: Int64)]
    /// The count of all groups that are not named. A group may itself be called "other"; this is separate.
    public let other: Int64

    static let none = Counts(total: 0, groups: [], other: 0)

    /// Approximate bytes in memory.
    public var size: Int { groups.reduce(0) { $0 + 56 + $1.name.utf8.count } }

    private init(total: Int64, groups: [(name: String, count: Int64)], other: Int64) {
        self.total = total
        self.groups = groups
        self.other = other
    }

    /// Keeps the `limit` largest of `counts`, which name each group once. `nil` if the sum exceeds 64 bits: some of the counts are invalid.
    init?(exact counts: some Sequence<(name: BytewiseString, count: Int64)>, limit: Int = .max, other: Int64 = 0) {
        let sorted = counts.sorted { $0.count != $1.count ? $0.count > $1.count : $0.name < $1.name }
        var total = other
        for (_, count) in sorted {
            let (sum, overflow) = total.addingReportingOverflow(count)
            if overflow { return nil }
            total = sum
        }
        let named = sorted.prefix(limit)
        self.init(
            total: total, groups: named.map { (name: $0.name.text, count: $0.count) }, other: named.reduce(total) { $0 - $1.count })
    }

    public static func == (a: Counts, b: Counts) -> Bool {
        a.total == b.total && a.other == b.other
            && a.groups.elementsEqual(b.groups) { $0.count == $1.count && BytewiseString($0.name) == BytewiseString($1.name) }
    }
}
