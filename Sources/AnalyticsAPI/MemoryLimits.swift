internal import AnalyticsCore
public import CoreMetrics

/// Limits the memory of all requests together, over HTTP and gRPC.
public struct MemoryLimits: Sendable {
    let bodies: ByteBudget
    /// For responses, until they are written.
    let answers: ByteBudget

    public init(_ settings: APISettings, metricsFactory: any MetricsFactory = MetricsSystem.factory) {
        func meter(_ kind: String) -> Meter { MetricCatalogue.metrics.httpBytesInFlight.makeMeter(kind, factory: metricsFactory) }
        bodies = ByteBudget(
            limit: settings.maximumBodyBytesInMemory,
            peerLimit: settings.maximumBodyBytesPerPeer ?? settings.maximumBodyBytesInMemory / 2,
            callerLimit: Self.share(of: settings.maximumBodyBytesInMemory), largest: settings.maximumBodyBytes, meter: meter("request"))
        // Nothing is reserved for small responses: a large response is not abuse.
        answers = ByteBudget(
            limit: settings.maximumAnswerBytesInMemory, callerLimit: Self.share(of: settings.maximumAnswerBytesInMemory),
            largest: settings.maximumAnswerBytesInMemory, meter: meter("answer"))
    }

    /// What one key or account may hold, so that something is left for others. Most services have one busy key, so it is not less.
    private static func share(of bytes: Int) -> Int { bytes / 4 * 3 }
}
