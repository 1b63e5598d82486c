/// Token buckets that several processes share. No call throws, and when the store is down, calls still return within 100 ms.
public protocol RateStore: Sendable {
    /// Takes tokens from a bucket. `nil` if the store does not answer in time, or with something that is no lease.
    func lease(_ request: TokenRequest) async -> TokenLease?
}

/// Asks for tokens of a bucket, which is full at first and holds one second's worth.
public struct TokenRequest: Sendable, Equatable {
    public var bucket: String
    /// Tokens per second.
    public var rate: Int
    /// At least 1. If the bucket holds fewer, none are granted. More than it can hold are granted when it is full: it is then in debt.
    public var least: Int
    /// At least `least`.
    public var most: Int

    /// A debt is no longer than the time in which so many tokens come.
    public static let longestDebt = TokenBucket.longestDebt

    public init(bucket: String, rate: Int, least: Int, most: Int) {
        self.bucket = bucket
        self.rate = rate
        self.least = least
        self.most = most
    }
}

/// Tokens that were taken from a bucket. Those that are not used are lost.
public struct TokenLease: Sendable, Equatable {
    /// 0, or from `least` to `most`.
    public let granted: Int
    /// The time until the bucket is full again, if nobody takes more.
    public let fullIn: Duration

    /// `nil` if no bucket gives that: what a store answers is not trusted.
    public init?(granted: Int, fullIn: Duration, for request: TokenRequest) {
        guard granted == 0 || granted >= request.least && granted <= request.most,
            fullIn >= .zero, fullIn <= .seconds(1) + TokenRequest.longestDebt
        else { return nil }
        self.granted = granted
        self.fullIn = fullIn
    }
}
