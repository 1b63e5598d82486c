internal import Synchronization

/// What requests need of the projects' records, as last read (``ProjectFollower``).
///
/// While the store is unavailable, the last values stay in use. Before the first read, no project is archived, has a rate or allows an
/// origin.
public final class ProjectDirectory: Sendable {
    private struct Entry {
        var isArchived: Bool
        var origins: Set<BytewiseString>
        var rates: ProjectRates
    }

    private struct State {
        var projects: [ProjectID: Entry] = [:]
        /// Of all projects.
        var origins: Set<BytewiseString> = []
    }

    private let state = Mutex(State())
    /// Read by each request, before the lock.
    private let hasRates = Atomic(false)

    public init() {}

    public func take(_ records: [ProjectRecord]) {
        var read = State()
        for record in records {
            let origins = Set(record.origins.map(BytewiseString.init))
            read.projects[record.project] = Entry(isArchived: record.archivedAt != nil, origins: origins, rates: record.rates)
            read.origins.formUnion(origins)
        }
        let hasRates = read.projects.values.contains { $0.rates != ProjectRates() }
        state.withLock { [read] in
            $0 = read
            self.hasRates.store(hasRates, ordering: .releasing)
        }
    }

    public func isArchived(_ project: ProjectID) -> Bool { state.withLock { $0.projects[project]?.isArchived ?? false } }

    public func allows(_ origin: String, of project: ProjectID) -> Bool {
        state.withLock { $0.projects[project]?.origins.contains(BytewiseString(origin)) ?? false }
    }

    /// Whether some project allows it: a preflight carries no key, so its project is unknown.
    public func allows(_ origin: String) -> Bool { state.withLock { $0.origins.contains(BytewiseString(origin)) } }

    public func rates(of project: ProjectID) -> ProjectRates {
        guard hasRates.load(ordering: .acquiring) else { return ProjectRates() }
        return state.withLock { $0.projects[project]?.rates ?? ProjectRates() }
    }
}
