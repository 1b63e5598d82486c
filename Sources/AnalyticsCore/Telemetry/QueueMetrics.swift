internal import CoreMetrics

/// The counters that a delivery passes. Names and meaning: ``MetricCatalogue``.
enum QueueMetrics {
    static let delivered = Counter(label: "analytics_queue_delivered_total")
    static let acknowledged = Counter(label: "analytics_queue_acknowledged_total")

    /// Makes them exist, at 0.
    static func prepare() {
        _ = (delivered, acknowledged)
    }
}
