package import AnalyticsCore
package import Logging
internal import Synchronization

/// 2026-03-01T12:00:00Z, which begins an hour.
package let noon = Timestamp(milliseconds: 1_772_366_400_000)

/// Writes nothing.
package let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

extension WallClock {
    package static func fixed(_ now: Timestamp) -> WallClock { WallClock { now } }
}

extension Roller {
    /// One whose journals say noon.
    package init(store: any RollupStore & ProjectStore, logger: Logger) {
        self.init(store: store, clock: .fixed(noon), logger: logger)
    }
}

extension IDGenerator {
    /// `prefix0`, `prefix1`, …
    package static func counting(_ prefix: String = "id") -> IDGenerator {
        let next = Mutex(0)
        return IDGenerator {
            next.withLock { number in
                defer { number += 1 }
                return prefix + String(number)
            }
        }
    }
}
