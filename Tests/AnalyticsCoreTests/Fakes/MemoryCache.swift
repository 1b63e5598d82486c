import Synchronization

@testable import AnalyticsCore

/// A cache that remembers everything, and can be away.
final class MemoryCache: CountCache, Sendable {
    private let values = Mutex<[String: [UInt8]]>([:])
    private let away = Mutex(false)

    var keys: [String] { values.withLock { Array($0.keys) } }

    func away(_ isAway: Bool) { away.withLock { $0 = isAway } }

    func value(for key: String) async -> CacheLookup {
        guard await health() == .up else { return .unavailable }
        return values.withLock { $0[key] }.map(CacheLookup.hit) ?? .miss
    }

    func store(_ value: [UInt8], for key: String, timeToLive: Duration) async {
        guard await health() == .up else { return }
        values.withLock { $0[key] = value }
    }

    /// Puts other bytes under every key there is.
    func corrupt(_ bytes: [UInt8]) { values.withLock { values in for key in values.keys { values[key] = bytes } } }

    func health() async -> Health { away.withLock { $0 } ? .down("away") : .up }
}
