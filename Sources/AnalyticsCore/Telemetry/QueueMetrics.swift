internal import CoreMetrics

/// The counters that a delivery passes. Names and meaning: ``MetricCatalogue``.
enum QueueMetrics {
    static let delivered = MetricCatalogue.metrics.queueDelivered.make()
    static let acknowledged = MetricCatalogue.metrics.queueAcknowledged.make()

    /// Makes them exist, at 0.
    static func prepare() {
        _ = (delivered, acknowledged)
    }
}
