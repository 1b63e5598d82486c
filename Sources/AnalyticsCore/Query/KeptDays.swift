/// Keeps the tables of days while they do not change. A question over a year reads 365 versions from an index, and the tables of the
/// changed days only.
struct KeptDays: Sendable {
    private let kept = VersionedCache<BucketKey, GroupTable>(byteLimit: 24 << 20)

    /// Divides days, by versions that the caller has read, into kept tables and days to read.
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

    /// Keeps the days that are not marked: the count of their version is final.
    func keep(_ days: [Rollup]) async {
        await kept.keep(days.filter { !$0.dirty }.map { ($0.key, $0.version, $0.table, $0.table.size + 160) })
    }
}
