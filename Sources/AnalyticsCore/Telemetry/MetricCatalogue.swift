/// Every metric of the service: its name, what it means, and, for distributions, its bounds. One file, so that a dashboard's author
/// reads one file.
public struct MetricDescription: Sendable {
    public enum Kind: Sendable {
        case counter
        case gauge
        /// With the upper bounds of its buckets, ascending, in the unit of its name.
        case histogram([Double])
    }

    public var name: String
    public var help: String
    public var kind: Kind
}

public enum MetricCatalogue {
    /// From half a millisecond to ten seconds: an answer at the door takes a few milliseconds, a count some tens.
    private static let latency: [Double] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    /// From receipt to stored: tens of milliseconds when all is well, hours after an outage.
    private static let delay: [Double] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600]
    private static let sizes: [Double] = [1, 5, 10, 50, 100, 250, 500, 1_000, 2_000, 4_000]

    public static let all: [MetricDescription] = [
        counter("http_requests_total", "HTTP requests answered, by method, route and status."),
        histogram("http_request_duration_seconds", latency, "Time from a request's head to its answer, by route and status."),
        gauge("http_requests_in_flight", "HTTP requests being answered."),

        counter("analytics_events_accepted_total", "Events that the broker confirmed to hold."),
        counter("analytics_events_rejected_total", "Events refused at the door, by reason."),
        counter(
            "analytics_events_unconfirmed_total", "Events that the broker did not confirm; their senders were told to send them again."),
        counter("analytics_events_stored_total", "Events stored."),
        counter("analytics_events_duplicate_total", "Events whose id was stored already with the same content, under another request."),
        counter(
            "analytics_events_conflicting_total", "Events whose id was stored already with other content; they are in the dead letters."),
        counter("analytics_events_redelivered_total", "Events that the broker delivered again after they were stored."),
        counter("analytics_events_dead_lettered_total", "Events, or deliveries, that processing gave up on, by reason."),
        histogram("analytics_event_processing_duration_seconds", delay, "Time from an event's receipt to its being stored and marked."),
        gauge("analytics_event_lag_seconds", "Age of the oldest event that this processor holds and has not stored."),

        gauge("analytics_queue_messages", "Messages in the queues: ready, unacked (held by this process), dead (dead letters)."),
        counter("analytics_queue_published_total", "Messages that the broker confirmed, by destination."),
        counter("analytics_queue_delivered_total", "Messages that the broker delivered."),
        counter("analytics_queue_acknowledged_total", "Messages acknowledged to the broker."),

        counter("analytics_cache_requests_total", "Look-ups of counts in the cache: hit, miss, or error when it did not answer."),
        histogram("analytics_store_operation_duration_seconds", latency, "Time of the store's operations."),
        counter("analytics_store_errors_total", "Operations of the store that failed."),
        histogram("analytics_broker_operation_duration_seconds", latency, "Time of the broker's operations."),
        counter("analytics_broker_errors_total", "Operations of the broker that failed, wholly or for some messages."),

        gauge("analytics_rollup_dirty_buckets", "Marked buckets that the last pass of the roller found, by tier."),
        gauge(
            "analytics_rollup_lag_seconds", "How long the marked bucket that waits longest has waited since it was last rolled, in seconds."
        ),
        counter("analytics_rollup_rolled_total", "Buckets rolled, by tier."),
        counter(
            "analytics_rollup_unreadable_total", "Rollups whose bytes are damaged, by tier; counts were read from the finer tier instead."),
        counter("analytics_rollup_expired_total", "Marked minutes below the watermark, which keep the count that they have."),
        counter("analytics_retention_deleted_events_total", "Events deleted below a watermark."),
        histogram("analytics_flush_events", sizes, "Events written by a flush."),
        histogram("analytics_flush_duration_seconds", latency, "Time of a flush, from insert to acknowledgement."),
        gauge("analytics_dependency_up", "1 when the store, the broker or the cache answers."),
    ]

    private static func counter(_ name: String, _ help: String) -> MetricDescription {
        MetricDescription(name: name, help: help, kind: .counter)
    }

    private static func gauge(_ name: String, _ help: String) -> MetricDescription {
        MetricDescription(name: name, help: help, kind: .gauge)
    }

    private static func histogram(_ name: String, _ bounds: [Double], _ help: String) -> MetricDescription {
        MetricDescription(name: name, help: help, kind: .histogram(bounds))
    }
}
