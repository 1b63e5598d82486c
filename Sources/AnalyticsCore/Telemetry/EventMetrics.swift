internal import CoreMetrics
internal import Metrics

/// The counters an event passes. Names and meaning: ``MetricCatalogue``.
enum EventMetrics {
    static let accepted = Counter(label: "analytics_events_accepted_total")
    static let unconfirmed = Counter(label: "analytics_events_unconfirmed_total")
    static let stored = Counter(label: "analytics_events_stored_total")
    static let duplicate = Counter(label: "analytics_events_duplicate_total")
    static let conflicting = Counter(label: "analytics_events_conflicting_total")
    static let redelivered = Counter(label: "analytics_events_redelivered_total")

    private static let rejected = byReason(RejectionCode.allCases, "analytics_events_rejected_total")
    private static let deadLettered = byReason(DeadLetterReason.allCases, "analytics_events_dead_lettered_total")

    static func rejected(_ rejections: Rejections) {
        for (code, count) in rejections.counts { rejected[code]?.increment(by: count) }
    }

    static func deadLettered(_ reason: DeadLetterReason, count: Int) {
        deadLettered[reason]?.increment(by: count)
    }

    /// Makes every counter of the door exist, at 0: an increase from nothing to one is otherwise seen by no rate.
    static func prepareDoor() {
        _ = (accepted, unconfirmed, rejected)
    }

    /// The same for the processor's.
    static func prepareProcessor() {
        _ = (stored, duplicate, conflicting, redelivered, deadLettered)
    }

    private static func byReason<Reason: Hashable & RawRepresentable<String>>(_ reasons: [Reason], _ label: String) -> [Reason: Counter] {
        Dictionary(uniqueKeysWithValues: reasons.map { ($0, Counter(label: label, dimensions: [("reason", $0.rawValue)])) })
    }
}
