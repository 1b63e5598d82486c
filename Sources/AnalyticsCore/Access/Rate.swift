/// The state of a ``TokenBucket`` after a request.
public struct Rate: Sendable, Equatable {
    /// Per second.
    public var limit: Int
    /// What can be taken now.
    public var remaining: Int
    /// When the same request can pass; `nil` if it has passed.
    public var retryAfter: Duration?
    /// Whether it is the rate of the key, and not of its project.
    public var isOfKey = false

    public init(limit: Int, remaining: Int, retryAfter: Duration? = nil) {
        self.limit = limit
        self.remaining = remaining
        self.retryAfter = retryAfter
    }

    public var isAllowed: Bool { retryAfter == nil }
}
