internal import CoreMetrics
internal import Synchronization

/// Token buckets for the requests and events of each project, in this process. Several API processes allow several times the rates.
public final class RateLimiter: Sendable {
    /// At most three per project with a record.
    private struct Key: Hashable {
        var project: ProjectID
        var counted: Counted
    }

    private enum Counted {
        case sending, asking, events
    }

    private let projects: ProjectDirectory
    private let elapsed: ElapsedClock
    private let buckets = Mutex<[Key: TokenBucket]>([:])

    public init(projects: ProjectDirectory, elapsed: ElapsedClock = .system) {
        self.projects = projects
        self.elapsed = elapsed
        AccessMetrics.prepare()
    }

    /// `nil` if the project has no rate of requests. Requests that send events have a bucket of their own: a public write key must not
    /// use up what its project asks with.
    public func takeRequest(of project: ProjectID, sendsEvents: Bool) -> Rate? {
        let rate = take(
            1, Key(project: project, counted: sendsEvents ? .sending : .asking), limit: projects.rates(of: project).requestsPerSecond)
        if rate?.isAllowed == false { AccessMetrics.limitedRequests.increment() }
        return rate
    }

    /// `nil` if the project has no rate of events. More events than the rate pass when none were sent for a second, and delay the next.
    public func takeEvents(_ count: Int, of project: ProjectID) -> Rate? {
        let rate = take(count, Key(project: project, counted: .events), limit: projects.rates(of: project).eventsPerSecond)
        if rate?.isAllowed == false { AccessMetrics.limitedEvents.increment(by: count) }
        return rate
    }

    private func take(_ count: Int, _ key: Key, limit: Int?) -> Rate? {
        guard let limit else { return nil }
        let now = elapsed.now()
        return buckets.withLock { buckets in
            var bucket = buckets[key] ?? TokenBucket(rate: limit)
            // A new rate begins with a full bucket.
            if bucket.rate != limit { bucket = TokenBucket(rate: limit) }
            defer { buckets[key] = bucket }
            return bucket.take(count, at: now)
        }
    }
}
