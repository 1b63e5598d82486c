internal import CoreMetrics
internal import Metrics
public import ServiceLifecycle

/// Checks once per minute whether accepted and settled events balance, in all projects, and records the result as metrics.
public struct PipelineAuditor: Service {
    private let store: any PipelineStore & ProjectStore
    private let clock: WallClock
    private let elapsed: ElapsedClock

    static let interval: Duration = .seconds(60)
    /// Audits the 60 minutes that ended 15 minutes ago.
    static let minutes: Int64 = 60
    static let age: Int64 = 15
    /// Maximum number of projects audited, in the order of their names.
    static let maximumProjects = 1_000

    public init(store: any PipelineStore & ProjectStore, clock: WallClock, elapsed: ElapsedClock = .system) {
        self.store = store
        self.clock = clock
        self.elapsed = elapsed
    }

    public func run() async throws {
        await elapsed.repeating(every: Self.interval) {
            let found = try? await audit()
            // Not the last known number: it would hide that the audit fails.
            MetricCatalogue.metrics.pipelineUnsettled.make().record(found.map { Double($0.unsettled) } ?? .nan)
            MetricCatalogue.metrics.pipelineUncounted.make().record(found.map { Double($0.uncounted) } ?? .nan)
        }
    }

    func audit() async throws(StoreError) -> (unsettled: Int64, uncounted: Int64) {
        var (unsettled, uncounted): (Int64, Int64) = (0, 0)
        let end = clock.now().minute - Self.age
        let range = end - Self.minutes..<end
        for project in try await store.projectRecords().map(\.project).sorted().prefix(Self.maximumProjects) {
            let balance = PipelineBalance(try await store.pipelineCells(of: project, minutes: range), range: range, asOf: clock.now())
            unsettled += balance.inFlight
            uncounted += balance.uncounted
        }
        return (unsettled, uncounted)
    }
}
