internal import Metrics
internal import Synchronization

/// Counts stored events by project and type. Handles stay: making one is a look-up in the metrics backend.
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

    /// Of one flush.
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

/// Says which series an event adds to: that of its project and type while there is room, else that of what is left, `other`. The first ones of a
/// process have a series of their own.
struct StoredEventLabels {
    struct Kind: Hashable, Sendable {
        /// ASCII, as every project's name.
        var project: String
        var type: BytewiseString
    }

    static let maximumProjects = 100
    /// Of one project.
    static let maximumTypes = 50
    /// Every type of every project, and what is left of each project and of all.
    static let maximumSeries = maximumProjects * (maximumTypes + 1) + 1
    /// A project and a type may be called so as well; they are counted together with what is left.
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
