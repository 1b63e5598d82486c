/// Decides which marked buckets are to be rolled now. A state machine without I/O.
///
/// A bucket is rolled when it is first seen marked, and again as soon as it has been quiet from one pass to the next. One that is
/// marked again and again (the live minute, under load) is rolled at growing intervals instead, so that it is not counted from its
/// events over and over; whoever reads it meanwhile counts it from its events.
///
/// Moments are those of an ``ElapsedClock``.
struct RollPlanner {
    private struct Seen {
        var version: Int64
        var rolledAt: Duration
        var interval: Duration
        var pass: Int
    }

    static let firstInterval: Duration = .seconds(1)
    static let longestInterval: Duration = .seconds(16)
    /// Buckets remembered at the most. Those beyond are rolled whenever they are seen marked, which is right, only more work.
    static let memory = 20_000

    private let longestInterval: Duration
    private var seen: [BucketKey: Seen] = [:]
    private var pass = 0

    init(longestInterval: Duration = Self.longestInterval) {
        self.longestInterval = longestInterval
    }

    /// To be called before the first ``isDue(_:now:)`` of a pass over all marked buckets. Forgets those that the last pass did not see.
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

    /// Whether a bucket has not changed since the last pass. To be asked before ``isDue(_:now:)``.
    func isQuiet(_ bucket: BucketVersion) -> Bool { seen[bucket.key]?.version == bucket.version }

    /// How long the bucket that has waited longest has waited since it was last rolled.
    func longestWait(now: Duration) -> Duration {
        seen.values.lazy.filter { $0.pass == pass }.map { now - $0.rolledAt }.max() ?? .zero
    }
}
