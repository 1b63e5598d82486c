internal import AnalyticsCore
public import CoreMetrics

/// What requests may hold in memory, all of them together, however they come in.
public struct MemoryLimits: Sendable {
    let bodies: ByteBudget
    /// Of what answers hold until they are written.
    let answers: ByteBudget

    public init(_ settings: APISettings, metricsFactory: any MetricsFactory = MetricsSystem.factory) {
        func meter(_ kind: String) -> Meter { MetricCatalogue.metrics.httpBytesInFlight.makeMeter(kind, factory: metricsFactory) }
        bodies = ByteBudget(
            limit: settings.maximumBodyBytesInMemory,
            peerLimit: settings.maximumBodyBytesPerPeer ?? settings.maximumBodyBytesInMemory / 2, largest: settings.maximumBodyBytes,
            meter: meter("request"))
        // A large answer is none's fault, so nothing is reserved.
        answers = ByteBudget(
            limit: settings.maximumAnswerBytesInMemory, largest: settings.maximumAnswerBytesInMemory, meter: meter("answer"))
    }
}
