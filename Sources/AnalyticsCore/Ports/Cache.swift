/// A cache of counts. It may lose any entry at any time. No call throws, and when the cache is down, calls still return within the
/// adapter's short timeout. Entries are trusted because their key contains the generation of the days that they cover.
public protocol CountCache: Sendable {
    func value(for key: String) async -> CacheLookup
    func store(_ value: [UInt8], for key: String, timeToLive: Duration) async
    /// Whether the cache answers.
    func health() async -> Health
}

/// Caches nothing, for commands that ask once.
public struct NoCache: CountCache {
    public init() {}

    public func value(for key: String) async -> CacheLookup { .miss }
    public func store(_ value: [UInt8], for key: String, timeToLive: Duration) async {}
    public func health() async -> Health { .down("none") }
}

public enum CacheLookup: Sendable, Equatable {
    case hit([UInt8])
    case miss
    /// The cache did not answer.
    case unavailable
}
