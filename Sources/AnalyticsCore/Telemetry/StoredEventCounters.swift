internal import Metrics
internal import Synchronization

/// Counts stored events by project and type. Handles are kept: creating one is a look-up in the metrics backend.
final class StoredEventCounters: Sendable {
    private struct State {
        var labels = StoredEventLabels()
        var counters: [StoredEventLabels.Kind: Counter] = [:]
    }

    private let state = Mutex(State())
    private let make: @Sendable (StoredEventLabels.Kind) -> Counter

    init(make: @escaping @Sendable (StoredEventLabels.Kind) -> Counter) {
        self.make = make
    }

    /// Adds the counts of one flush.
    func add(_ counts: [StoredEventLabels.Kind: Int]) {
        state.withLock { state in
            for (kind, count) in counts {
                let label = state.labels.label(of: kind)
                let counter = state.counters[label] ?? make(label)
                state.counters[label] = counter
                counter.increment(by: count)
            }
        }
    }
}

/// Decides the series of an event: its project and type, up to the limits, otherwise `other`. The first ones in a process get their own
/// series.
struct StoredEventLabels {
    struct Kind: Hashable, Sendable {
        /// ASCII, as all project names.
        var project: String
        var type: BytewiseString
    }

    static let maximumProjects = 100
    /// Per project.
    static let maximumTypes = 50
    /// Every type of every project, and `other` for each project and overall.
    static let maximumSeries = maximumProjects * (maximumTypes + 1) + 1
    /// A project or type with this name is counted in the same series.
    static let rest = "other"

    private var types: [String: Set<BytewiseString>] = [:]

    mutating func label(of kind: Kind) -> Kind {
        guard types[kind.project] != nil || types.count < Self.maximumProjects else {
            return Kind(project: Self.rest, type: BytewiseString(Self.rest))
        }
        if types[kind.project]?.contains(kind.type) == true { return kind }
        guard types[kind.project, default: []].count < Self.maximumTypes else {
            return Kind(project: kind.project, type: BytewiseString(Self.rest))
        }
        types[kind.project, default: []].insert(kind.type)
        return kind
    }
}
