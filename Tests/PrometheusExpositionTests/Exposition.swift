import CoreMetrics
import PrometheusExposition

/// A registry and its factory, as a process has them.
struct Exposition {
    let registry: PrometheusRegistry
    let factory: PrometheusMetricsFactory

    init(_ catalogue: [MetricDescriptor] = [], limits: PrometheusRegistry.Limits = .init()) {
        registry = PrometheusRegistry(catalogue: catalogue, limits: limits)
        factory = PrometheusMetricsFactory(registry: registry)
    }

    func counter(_ label: String, _ dimensions: [(String, String)] = []) -> Counter {
        Counter(label: label, dimensions: dimensions, factory: factory)
    }

    func gauge(_ label: String, _ dimensions: [(String, String)] = []) -> Gauge {
        Gauge(label: label, dimensions: dimensions, factory: factory)
    }

    func meter(_ label: String, _ dimensions: [(String, String)] = []) -> Meter {
        Meter(label: label, dimensions: dimensions, factory: factory)
    }

    func recorder(_ label: String, _ dimensions: [(String, String)] = []) -> Recorder {
        Recorder(label: label, dimensions: dimensions, aggregate: true, factory: factory)
    }

    func timer(_ label: String, _ dimensions: [(String, String)] = []) -> CoreMetrics.Timer {
        CoreMetrics.Timer(label: label, dimensions: dimensions, factory: factory)
    }

    /// The lines of the exposition that begin with `prefix`, in order.
    func lines(_ prefix: String) -> [String] {
        registry.renderText().split(separator: "\n").map(String.init).filter { $0.hasPrefix(prefix) }
    }

    /// The value of the sample whose name and labels are exactly `series`, as it is written.
    func value(_ series: String) -> String? {
        lines(series + " ").first.map { String($0.dropFirst(series.count + 1)) }
    }
}
