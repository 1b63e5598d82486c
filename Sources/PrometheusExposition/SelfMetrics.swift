/// Metrics of the exposition itself: everything left out of it is counted.
enum SelfMetrics {
    static let labelLimitExceeded = "metrics_label_limit_exceeded_total"
    static let refused = "metrics_refused_total"

    static let descriptors = [
        MetricDescriptor(
            name: labelLimitExceeded,
            kind: .counter,
            help: "Look-ups of a series that went to the shared series __other__, because the metric has as many series as are allowed."
        ),
        MetricDescriptor(
            name: refused,
            kind: .counter,
            help: "Requests for instruments and samples that are not exposed, by reason."
        ),
    ]

    static func collect(into samples: inout ScrapeSamples, families: [MetricFamily], refusals: [PrometheusRegistry.Refusal: UInt64]) {
        for reason in PrometheusRegistry.Refusal.allCases {
            samples.set(refused, labels: [("reason", reason.rawValue)], to: Double(refusals[reason] ?? 0))
        }
        for family in families where family.divertedLookups > 0 {
            samples.set(labelLimitExceeded, labels: [("metric", family.descriptor.name)], to: Double(family.divertedLookups))
        }
    }
}
