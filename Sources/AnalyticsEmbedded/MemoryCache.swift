public import AnalyticsCore
import Synchronization

/// The cache of the service in one process, limited in bytes. Evicts the least recently used entry first.
public final class MemoryCache: CountCache {
    /// A longer value is not stored.
    public static let maximumValueBytes = 1 << 20

    private let entries: Mutex<Entries>
    private let now: @Sendable () -> ContinuousClock.Instant

    /// - parameter maximumBytes: Limit for keys, values and the entries' overhead together.
    public init(maximumBytes: Int = 32 * 1024 * 1024, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        entries = Mutex(Entries(maximumBytes: maximumBytes))
        self.now = now
    }

    public func value(for key: String) async -> CacheLookup {
        let now = now()
        return entries.withLock { $0.value(for: key, at: now) }.map(CacheLookup.hit) ?? .miss
    }

    public func store(_ value: [UInt8], for key: String, timeToLive: Duration) async {
        guard timeToLive > .zero, value.count <= Self.maximumValueBytes else { return }
        let expires = now() + timeToLive
        entries.withLock { $0.insert(value, for: key, expiring: expires) }
    }

    public func health() async -> Health { .up }
}

/// Entries in a doubly linked list in an array, the most recently used first.
private struct Entries {
    private struct Entry {
        var key: String
        var value: [UInt8]
        var expires: ContinuousClock.Instant
        var newer: Int?
        var older: Int?

        /// Estimate of the dictionary, the list and two allocations, besides the bytes of key and value.
        static let overhead = 160
        var bytes: Int { key.utf8.count * 2 + value.count + Self.overhead }
    }

    private let maximumBytes: Int
    private var bytes = 0
    private var slots: [Entry?] = []
    private var free: [Int] = []
    private var slotOfKey: [String: Int] = [:]
    private var newest: Int?
    private var oldest: Int?

    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
    }

    mutating func value(for key: String, at now: ContinuousClock.Instant) -> [UInt8]? {
        guard let slot = slotOfKey[key], let entry = slots[slot] else { return nil }
        guard now < entry.expires else {
            remove(key)
            return nil
        }
        unlink(entry)
        linkNewest(slot)
        return entry.value
    }

    mutating func insert(_ value: [UInt8], for key: String, expiring expires: ContinuousClock.Instant) {
        remove(key)
        let entry = Entry(key: key, value: value, expires: expires)
        guard entry.bytes <= maximumBytes else { return }
        while bytes + entry.bytes > maximumBytes, let oldest, let victim = slots[oldest] { remove(victim.key) }
        let slot = free.popLast() ?? slots.count
        if slot == slots.count { slots.append(entry) } else { slots[slot] = entry }
        slotOfKey[key] = slot
        bytes += entry.bytes
        linkNewest(slot)
    }

    mutating func remove(_ key: String) {
        guard let slot = slotOfKey.removeValue(forKey: key), let entry = slots[slot] else { return }
        unlink(entry)
        slots[slot] = nil
        free.append(slot)
        bytes -= entry.bytes
    }

    private mutating func unlink(_ entry: Entry) {
        if let newer = entry.newer { slots[newer]?.older = entry.older } else { newest = entry.older }
        if let older = entry.older { slots[older]?.newer = entry.newer } else { oldest = entry.newer }
    }

    private mutating func linkNewest(_ slot: Int) {
        slots[slot]?.newer = nil
        slots[slot]?.older = newest
        if let newest { slots[newest]?.newer = slot } else { oldest = slot }
        newest = slot
    }
}
