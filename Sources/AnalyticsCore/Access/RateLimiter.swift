internal import CoreMetrics
internal import Synchronization

/// Token buckets for the requests and events of each project, and of each key that has rates of its own. With a store, all processes that
/// use it have the same buckets; without one, or while it is down, each process has its own.
public final class RateLimiter: Sendable {
    private struct Key: Hashable {
        var project: ProjectID
        /// The id of a key; `nil` for all of the project together.
        var key: String?
        var counted: Counted

        /// With the rate, so that a new rate begins with a full bucket.
        func name(_ rate: Int) -> String {
            [project.name, key, counted.rawValue, String(rate)].compactMap(\.self).joined(separator: ":")
        }
    }

    private enum Counted: String {
        case sending, asking, events
    }

    /// The least recently used ones are forgotten; they are full, or the process has more keys in use.
    private static let maximumBuckets = 20_000
    /// Of a body, after decompression: it counts as at least one event for each begun part of this size.
    public static let bytesPerEvent = 16 * 1024

    private let projects: ProjectDirectory
    private let store: (any RateStore)?
    private let elapsed: ElapsedClock
    private let buckets = Mutex(BoundedMap<Key, RateBucket>(limit: RateLimiter.maximumBuckets))

    /// - Parameter store: What processes share buckets over; `nil` if there is nothing.
    public init(projects: ProjectDirectory, store: (any RateStore)? = nil, elapsed: ElapsedClock = .system) {
        self.projects = projects
        self.store = store
        self.elapsed = elapsed
        AccessMetrics.prepare()
    }

    /// `nil` if neither the project nor the key has a rate of requests; otherwise the state of that which has less left. Requests that send
    /// events have a bucket of their own: a public write key must not use up what its project asks with.
    public func takeRequest(of project: ProjectID, key: LimitedKey? = nil, sendsEvents: Bool) async -> Rate? {
        let rate = await take(1, sendsEvents ? .sending : .asking, of: project, key) { $0.requestsPerSecond }
        if rate?.isAllowed == false { AccessMetrics.limitedRequests.increment() }
        return rate
    }

    /// `nil` as ``takeRequest(of:key:sendsEvents:)``. More events than the rate pass when none were sent for a second, and delay the next.
    ///
    /// - Parameter bytes: Of the body that they came in (``bytesPerEvent``).
    public func takeEvents(_ count: Int, bytes: Int = 0, of project: ProjectID, key: LimitedKey? = nil) async -> Rate? {
        let weight = max(count, (bytes + Self.bytesPerEvent - 1) / Self.bytesPerEvent)
        let rate = await take(weight, .events, of: project, key) { $0.eventsPerSecond }
        if rate?.isAllowed == false { AccessMetrics.limitedEvents.increment(by: count) }
        return rate
    }

    private func take(
        _ count: Int, _ counted: Counted, of project: ProjectID, _ key: LimitedKey?, _ limit: (ProjectRates) -> Int?
    ) async -> Rate? {
        let all = limit(projects.rates(of: project)).map { bucket(Key(project: project, counted: counted), rate: $0) }
        guard let key, let keyLimit = limit(key.rates) else { return await all?.take(count) }
        // Before anything is taken: a request that one of the two is known to refuse takes nothing from the other.
        if let refusal = all?.refusal(of: count) { return refusal }
        var rate = await bucket(Key(project: project, key: key.id, counted: counted), rate: keyLimit).take(count)
        rate.isOfKey = true
        guard rate.isAllowed, let all else { return rate }
        let rateOfAll = await all.take(count)
        return !rateOfAll.isAllowed || rateOfAll.remaining < rate.remaining ? rateOfAll : rate
    }

    private func bucket(_ key: Key, rate: Int) -> RateBucket {
        buckets.withLock { buckets in
            if let known = buckets.use(key), known.rate == rate { return known }
            let new = RateBucket(name: key.name(rate), rate: rate, store: store, elapsed: elapsed)
            buckets.set(new, for: key)
            return new
        }
    }
}
