internal import Metrics

/// The counters an event passes. Names and meaning: ``MetricCatalogue``.
enum EventMetrics {
    static let accepted = Counter(label: "analytics_events_accepted_total")
    static let unconfirmed = Counter(label: "analytics_events_unconfirmed_total")
    static let stored = Counter(label: "analytics_events_stored_total")
    static let duplicate = Counter(label: "analytics_events_duplicate_total")
    static let conflicting = Counter(label: "analytics_events_conflicting_total")
    static let redelivered = Counter(label: "analytics_events_redelivered_total")

    static func rejected(_ rejections: [Rejection]) {
        guard !rejections.isEmpty else { return }
        for (code, group) in Dictionary(grouping: rejections, by: \.code) {
            Counter(label: "analytics_events_rejected_total", dimensions: [("reason", code.rawValue)]).increment(by: group.count)
        }
    }

    static func deadLettered(_ reason: DeadLetterReason, count: Int) {
        Counter(label: "analytics_events_dead_lettered_total", dimensions: [("reason", reason.rawValue)]).increment(by: count)
    }
}
