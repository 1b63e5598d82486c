/// Keeps the tables of days for as long as nothing in them changes: a question over a year then reads 365 versions from an index, and the tables
/// of those days that have changed.
struct KeptDays: Sendable {
    private let kept = VersionedCache<BucketKey, GroupTable>(byteLimit: 24 << 20)

    /// Of days of these versions, which have been read: those that are kept, and the others.
    func find(_ versions: [Int64: Int64], of project: ProjectID) async -> (found: [Rollup], others: [Int64]) {
        let asked = versions.sorted { $0.key < $1.key }.map { (key: BucketKey(project: project, index: $0.key), version: $0.value) }
        var (found, others): ([Rollup], [Int64]) = ([], [])
        for ((key, version), table) in zip(asked, await kept.find(asked)) {
            if let table {
                found.append(Rollup(key: key, version: version, done: version, dirty: false, table: table))
            } else {
                others.append(key.index)
            }
        }
        return (found, others)
    }

    /// Those that are not marked: their version's count is final.
    func keep(_ days: [Rollup]) async {
        await kept.keep(days.filter { !$0.dirty }.map { ($0.key, $0.version, $0.table, $0.table.size + 160) })
    }
}
