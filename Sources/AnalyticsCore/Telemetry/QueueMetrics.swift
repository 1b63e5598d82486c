internal import CoreMetrics

/// The counters of deliveries. Names and meaning: ``MetricCatalogue``.
enum QueueMetrics {
    static let delivered = MetricCatalogue.metrics.queueDelivered.make()
    static let acknowledged = MetricCatalogue.metrics.queueAcknowledged.make()

    /// Registers the counters at 0.
    static func prepare() {
        _ = (delivered, acknowledged)
    }
}
