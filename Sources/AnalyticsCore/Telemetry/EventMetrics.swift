internal import CoreMetrics
internal import Metrics

/// The counters of events, along their path. Names and meaning: ``MetricCatalogue``.
enum EventMetrics {
    static let accepted = MetricCatalogue.metrics.eventsAccepted.make()
    static let unconfirmed = MetricCatalogue.metrics.eventsUnconfirmed.make()
    static let stored = MetricCatalogue.metrics.eventsStored.make()
    static let storedByType = StoredEventCounters { kind in
        MetricCatalogue.metrics.eventsStoredByType.make(kind.project, kind.type.text)
    }
    static let duplicate = MetricCatalogue.metrics.eventsDuplicate.make()
    static let conflicting = MetricCatalogue.metrics.eventsConflicting.make()
    static let redelivered = MetricCatalogue.metrics.eventsRedelivered.make()
    static let erased = MetricCatalogue.metrics.eventsErased.make()

    private static let rejected = byReason(RejectionCode.allCases, MetricCatalogue.metrics.eventsRejected)
    private static let deadLettered = byReason(DeadLetterReason.allCases, MetricCatalogue.metrics.eventsDeadLettered)

    static func rejected(_ rejections: Rejections) {
        for (code, count) in rejections.counts { rejected[code]?.increment(by: count) }
    }

    static func deadLettered(_ reason: DeadLetterReason, count: Int) {
        deadLettered[reason]?.increment(by: count)
    }

    /// Registers all counters of ingest at 0: otherwise a rate does not see the first increment.
    static func prepareDoor() {
        _ = (accepted, unconfirmed, rejected)
    }

    /// Registers all counters of the processor at 0.
    static func prepareProcessor() {
        _ = (stored, duplicate, conflicting, redelivered, erased, deadLettered)
    }

    private static func byReason<Reason: Hashable & RawRepresentable<String>>(
        _ reasons: [Reason], _ metric: CounterMetric
    ) -> [Reason: Counter] {
        Dictionary(uniqueKeysWithValues: reasons.map { ($0, metric.make($0.rawValue)) })
    }
}
