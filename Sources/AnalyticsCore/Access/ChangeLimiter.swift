internal import Synchronization

/// Limits how much one caller changes about projects, keys, members and accounts, in this process. Each change is an entry of the audit
/// log, which is kept for more than a year.
public final class ChangeLimiter: Sendable {
    private static let maximumCallers = 10_000

    private let elapsed: ElapsedClock
    /// By the author of changes; by the network of authors who are anonymous.
    private let buckets = Mutex(BoundedMap<[UInt8], TokenBucket>(limit: ChangeLimiter.maximumCallers))

    public init(elapsed: ElapsedClock = .system) {
        self.elapsed = elapsed
    }

    /// Takes one change, of 10 per second after a burst of 60.
    ///
    /// - Parameter peer: The author's address.
    public func take(by author: ChangeAuthor, from peer: String) -> Rate {
        let key = author == .anonymous ? ClientAddress.network(of: peer) : Array(author.text.utf8)
        let now = elapsed.now()
        return buckets.withLock { buckets in
            var bucket = buckets.use(key) ?? TokenBucket(rate: 10, burst: 60)
            defer { buckets.set(bucket, for: key) }
            return bucket.take(1, at: now)
        }
    }
}
