/// Bounds a bucket's groups: the largest keep their names, the rest is counted together, so that a client that puts an id into
/// `type` cannot make a bucket grow without limit. The events keep the truth.
public enum GroupFolding {
    /// Groups a bucket holds at the most, the folded one included.
    public static let limit = 1000
    /// Type and source of the group that holds what was folded.
    public static let other = "__other__"

    /// At most ``limit`` groups: by count, largest first, ties by type and source; the rest summed under ``other``.
    public static func fold(_ groups: [RollupGroup]) -> [RollupGroup] {
        guard groups.count > limit else { return groups.sorted(by: precedes) }
        let sorted = groups.sorted(by: precedes)
        var kept = sorted.prefix(limit - 1).filter { $0.type != other || $0.source != other }
        var rest = RollupGroup(type: other, source: other, count: 0)
        for group in sorted.dropFirst(limit - 1) + sorted.prefix(limit - 1).filter({ $0.type == other && $0.source == other }) {
            rest.add(group)
        }
        kept.append(rest)
        return kept
    }

    /// The order in which groups are kept; total, so that the same events always fold the same way.
    static func precedes(_ a: RollupGroup, _ b: RollupGroup) -> Bool {
        if a.count != b.count { return a.count > b.count }
        if ExactText(a.type) != ExactText(b.type) { return a.type.utf8.lexicographicallyPrecedes(b.type.utf8) }
        return a.source.utf8.lexicographicallyPrecedes(b.source.utf8)
    }
}

extension RollupGroup {
    mutating func add(_ other: RollupGroup) {
        count += other.count
        if quarters.isEmpty {
            quarters = other.quarters
        } else {
            for index in other.quarters.indices { quarters[index] += other.quarters[index] }
        }
    }
}

/// Folds rows of (minute, type, source, count), as a database's grouping gives them, into minutes.
///
/// Rows come ordered by minute; a minute is folded when its last row has come, so what is held is one minute's rows and the result.
public struct MinuteFolder {
    private var minute: Int64?
    private var groups: [RollupGroup] = []
    private var result: [MinuteCounts] = []

    public init() {}

    public mutating func add(minute: Int64, type: String, source: String, count: Int64) {
        if minute != self.minute { close() }
        self.minute = minute
        groups.append(RollupGroup(type: type, source: source, count: count))
    }

    public mutating func finish() -> [MinuteCounts] {
        close()
        defer { result = [] }
        return result
    }

    private mutating func close() {
        guard let minute else { return }
        result.append(MinuteCounts(minute: minute, groups: GroupFolding.fold(groups)))
        groups.removeAll(keepingCapacity: true)
        self.minute = nil
    }
}
