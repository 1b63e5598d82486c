/// Decides which marked buckets to roll now. A state machine without I/O.
///
/// A bucket is rolled when it is first seen marked, and again when it has not changed from one pass to the next. A bucket that is marked
/// repeatedly (the live minute, under load) is rolled at growing intervals, to limit recounts; until then readers count it from its events.
///
/// Times are those of an ``ElapsedClock``.
struct RollPlanner {
    private struct Seen {
        var version: Int64
        var rolledAt: Duration
        var interval: Duration
        var pass: Int
    }

    static let firstInterval: Duration = .seconds(1)
    static let longestInterval: Duration = .seconds(16)
    /// Maximum number of buckets remembered. Others are rolled whenever they are seen marked, which is correct but costs more.
    static let memory = 20_000

    private let longestInterval: Duration
    private var seen: [BucketKey: Seen] = [:]
    private var pass = 0

    init(longestInterval: Duration = Self.longestInterval) {
        self.longestInterval = longestInterval
    }

    /// Call it before the first ``isDue(_:now:)`` of a pass over all marked buckets. Forgets the buckets that the last pass did not see.
    mutating func beginPass() {
        seen = seen.filter { $0.value.pass == pass }
        pass += 1
    }

    mutating func isDue(_ bucket: BucketVersion, now: Duration) -> Bool {
        guard var entry = seen[bucket.key] else {
            if seen.count < Self.memory {
                seen[bucket.key] = Seen(version: bucket.version, rolledAt: now, interval: Self.firstInterval, pass: pass)
            }
            return true
        }
        let isQuiet = entry.version == bucket.version
        let isDue = isQuiet || now >= entry.rolledAt + entry.interval
        entry.version = bucket.version
        entry.pass = pass
        if isDue {
            entry.rolledAt = now
            entry.interval = isQuiet ? Self.firstInterval : min(entry.interval * 2, longestInterval)
        }
        seen[bucket.key] = entry
        return isDue
    }

    /// Whether a bucket has not changed since the last pass. Call it before ``isDue(_:now:)``.
    func isQuiet(_ bucket: BucketVersion) -> Bool { seen[bucket.key]?.version == bucket.version }

    /// The longest time since the last roll among marked buckets.
    func longestWait(now: Duration) -> Duration {
        seen.values.lazy.filter { $0.pass == pass }.map { now - $0.rolledAt }.max() ?? .zero
    }
}
