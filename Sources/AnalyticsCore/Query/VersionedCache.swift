/// Keeps data of buckets, read or computed, until the buckets change.
///
/// The version of an entry was read before anything else of its bucket, so the entry holds at least every event of that version
/// (docs/decisions/cache-generations.md).
actor VersionedCache<Key: Hashable & Sendable, Value: Sendable> {
    private struct Entry {
        var version: Int64
        var value: Value
        var size: Int
        var lastUse: UInt64
    }

    private var entries: [Key: Entry] = [:]
    private var bytes = 0
    private var uses: UInt64 = 0
    private let byteLimit: Int

    /// - Parameter byteLimit: Approximate bytes of all entries. Beyond it, the least recently used half is removed.
    init(byteLimit: Int) {
        self.byteLimit = byteLimit
    }

    func find(_ key: Key, version: Int64) -> Value? {
        guard let entry = entries[key], entry.version == version else { return nil }
        uses += 1
        entries[key]?.lastUse = uses
        return entry.value
    }

    /// The values kept at these versions.
    func find(_ versions: [(key: Key, version: Int64)]) -> [Value?] {
        versions.map { find($0.key, version: $0.version) }
    }

    func keep(_ values: [(key: Key, version: Int64, value: Value, size: Int)]) {
        for (key, version, value, size) in values { keep(value, size: size, key, version: version) }
    }

    func keep(_ value: Value, size: Int, _ key: Key, version: Int64) {
        guard size <= byteLimit / 2 else { return }
        uses += 1
        let entry = Entry(version: version, value: value, size: size, lastUse: uses)
        bytes += size - (entries.updateValue(entry, forKey: key)?.size ?? 0)
        guard bytes > byteLimit else { return }
        for (key, entry) in entries.sorted(by: { $0.value.lastUse < $1.value.lastUse }).prefix((entries.count + 1) / 2) {
            entries[key] = nil
            bytes -= entry.size
        }
    }
}
