internal import AnalyticsCore
public import CoreMetrics

/// What requests may hold in memory, all of them together, however they come in.
public struct MemoryLimits: Sendable {
    let bodies: ByteBudget
    /// Of what answers hold until they are written.
    let answers: ByteBudget

    public init(_ settings: APISettings, metricsFactory: any MetricsFactory = MetricsSystem.factory) {
        func budget(_ kind: String, _ limit: Int) -> ByteBudget {
            ByteBudget(limit: limit, meter: MetricCatalogue.metrics.httpBytesInFlight.makeMeter(kind, factory: metricsFactory))
        }
        bodies = budget("request", settings.maximumBodyBytesInMemory)
        answers = budget("answer", settings.maximumAnswerBytesInMemory)
    }
}
