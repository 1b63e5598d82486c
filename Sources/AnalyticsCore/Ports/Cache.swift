/// Fronts counts. It may forget anything at any time, and being away makes it slow to nobody: no call throws, and each returns
/// within the adapter's short timeout. Entries are trusted because their key holds the generation of what they cover.
public protocol CountCache: Sendable {
    func value(for key: String) async -> CacheLookup
    func store(_ value: [UInt8], for key: String, timeToLive: Duration) async
    /// Whether it answers.
    func health() async -> Health
}

public enum CacheLookup: Sendable, Equatable {
    case hit([UInt8])
    case miss
    /// It did not answer.
    case unavailable
}
