package import AnalyticsCore
internal import Synchronization

/// A cache that keeps everything, and that can be down.
package final class UnboundedCache: CountCache, Sendable {
    private let values = Mutex<[String: [UInt8]]>([:])
    private let isDown = Mutex(false)

    package init() {}

    package var keys: [String] { values.withLock { Array($0.keys) } }

    package func down(_ value: Bool) { isDown.withLock { $0 = value } }

    package func value(for key: String) async -> CacheLookup {
        guard await health() == .up else { return .unavailable }
        return values.withLock { $0[key] }.map(CacheLookup.hit) ?? .miss
    }

    package func store(_ value: [UInt8], for key: String, timeToLive: Duration) async {
        guard await health() == .up else { return }
        values.withLock { $0[key] = value }
    }

    /// Replaces the value of every key.
    package func corrupt(_ bytes: [UInt8]) { values.withLock { values in for key in values.keys { values[key] = bytes } } }

    package func health() async -> Health { isDown.withLock { $0 } ? .down("down") : .up }
}
