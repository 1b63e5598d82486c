internal import Synchronization

/// Which projects were asked lately about a present minute that has many events.
///
/// What such a minute says is kept, and read on once a second for as long as somebody asks: the next question then reads the last second, and not all
/// that has come since the one before it (docs/decisions/live-minutes.md).
final class LiveInterest: Sendable {
    enum Reading {
        /// ``DirtyMinuteCache``
        case counts
        /// ``LiveMinutes``
        case rows
    }

    private struct Ask: Hashable {
        var project: ProjectID
        var reading: Reading
    }

    private let elapsed: ElapsedClock
    private let asked = Mutex<[Ask: Duration]>([:])

    /// After the last question it is read on for so long.
    static let lasts: Duration = .seconds(60)
    /// Those that asked last.
    static let limit = 16

    init(elapsed: ElapsedClock) {
        self.elapsed = elapsed
    }

    func note(_ project: ProjectID, _ reading: Reading) {
        let now = elapsed.now()
        asked.withLock { asked in
            asked[Ask(project: project, reading: reading)] = now
            if asked.count > Self.limit, let oldest = asked.min(by: { $0.value < $1.value }) { asked[oldest.key] = nil }
        }
    }

    var isEmpty: Bool { asked.withLock { $0.isEmpty } }

    func projects(_ reading: Reading) -> [ProjectID] {
        let now = elapsed.now()
        return asked.withLock { asked in
            asked = asked.filter { now - $0.value < Self.lasts }
            return asked.keys.filter { $0.reading == reading }.map(\.project)
        }
    }
}
