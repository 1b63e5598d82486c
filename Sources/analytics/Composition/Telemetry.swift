internal import AnalyticsCore
internal import Foundation
internal import Logging
internal import Metrics
internal import PrometheusExposition

/// Sets up logging and metrics, once per process, before anything else.
enum Telemetry {
    static func logger(_ settings: LoggingSettings) -> Logger {
        LoggingSystem.bootstrap { label in
            var handler = OneLineLogHandler(StreamLogHandler.standardError(label: label))
            handler.logLevel = settings.level
            handler.metadata = ["env": "\(settings.environment)"]
            return handler
        }
        return Logger(label: "analytics")
    }

    /// Renders /metrics; `nil` if metrics are off, and nothing is counted then.
    static func metrics(isEnabled: Bool) -> (@Sendable () -> [UInt8])? {
        guard isEnabled else { return nil }
        let registry = PrometheusRegistry(
            catalogue: MetricCatalogue.all.map(MetricDescriptor.init), limits: .init(seriesPerMetric: MetricCatalogue.maximumSeries))
        registry.exposeProcessMetrics()
        registry.exposeBuildInfo("analytics_build_info", labels: [("version", BuildInfo.version)])
        MetricsSystem.bootstrap(PrometheusMetricsFactory(registry: registry))
        return { registry.render() }
    }
}

extension MetricDescriptor {
    init(_ description: MetricDescription) {
        switch description.kind {
        case .counter: self.init(name: description.name, kind: .counter, help: description.help)
        case .gauge: self.init(name: description.name, kind: .gauge, help: description.help)
        case .histogram(let buckets):
            self.init(name: description.name, kind: .histogram, help: description.help, buckets: buckets)
        }
    }
}

extension WallClock {
    static let system = WallClock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
