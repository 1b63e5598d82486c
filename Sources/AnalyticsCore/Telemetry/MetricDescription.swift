package import CoreMetrics

/// The description of a metric. Instruments are made from it, so its name and labels are written once.
public struct MetricDescription: Sendable {
    public enum Kind: Sendable {
        case counter
        case gauge
        /// Upper bounds of its buckets, ascending, in the unit of its name.
        case histogram([Double])
    }

    public var name: String
    public var help: String
    public var kind: Kind
    /// Instruments take their label values in this order.
    public var labels: [String]

    fileprivate func dimensions(_ values: [String]) -> [(String, String)] {
        precondition(values.count == labels.count, "\(name) has the labels \(labels)")
        return Array(zip(labels, values))
    }
}

/// A metric that ``MetricCatalogue/all`` lists.
protocol DescribedMetric {
    var description: MetricDescription { get }
}

package struct CounterMetric: Sendable, DescribedMetric {
    let description: MetricDescription

    init(_ name: String, _ help: String, labels: String...) {
        description = MetricDescription(name: name, help: help, kind: .counter, labels: labels)
    }

    package func make(_ values: String..., factory: any MetricsFactory = MetricsSystem.factory) -> Counter {
        Counter(label: description.name, dimensions: description.dimensions(values), factory: factory)
    }
}

package struct GaugeMetric: Sendable, DescribedMetric {
    let description: MetricDescription

    init(_ name: String, _ help: String, labels: String...) {
        description = MetricDescription(name: name, help: help, kind: .gauge, labels: labels)
    }

    package func make(_ values: String...) -> Gauge {
        Gauge(label: description.name, dimensions: description.dimensions(values))
    }

    /// For a value that goes up and down in steps.
    package func makeMeter(_ values: String..., factory: any MetricsFactory = MetricsSystem.factory) -> Meter {
        Meter(label: description.name, dimensions: description.dimensions(values), factory: factory)
    }
}

package struct HistogramMetric: Sendable, DescribedMetric {
    let description: MetricDescription

    init(_ name: String, _ bounds: [Double], _ help: String, labels: String...) {
        description = MetricDescription(name: name, help: help, kind: .histogram(bounds), labels: labels)
    }

    package func makeTimer(_ values: String..., factory: any MetricsFactory = MetricsSystem.factory) -> CoreMetrics.Timer {
        Timer(label: description.name, dimensions: description.dimensions(values), preferredDisplayUnit: .seconds, factory: factory)
    }

    package func makeRecorder(_ values: String...) -> Recorder {
        Recorder(label: description.name, dimensions: description.dimensions(values))
    }
}
