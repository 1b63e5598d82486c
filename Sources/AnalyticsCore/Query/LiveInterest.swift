internal import Synchronization

/// The projects with recent questions about a present minute that has many events.
///
/// The minute's data is kept and updated once per second while questions come. The next question then reads the last second, not
/// everything since the question before it (docs/decisions/live-minutes.md).
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

    /// Time after the last question for which the minute is updated.
    static let lasts: Duration = .seconds(60)
    /// Maximum number of entries; the latest are kept.
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
