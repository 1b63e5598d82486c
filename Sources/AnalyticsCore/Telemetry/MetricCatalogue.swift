/// All metrics of the service: name, labels, meaning and, for histograms, bounds. `docs/metrics.md` contains the same list.
public struct MetricCatalogue: Sendable {
    package static let metrics = MetricCatalogue()

    /// Maximum series per metric. Stored events by project and type have the most.
    public static let maximumSeries = StoredEventLabels.maximumSeries

    /// In the order of declaration.
    public static let all = Mirror(reflecting: metrics).children.compactMap { ($0.value as? any DescribedMetric)?.description }

    package let httpRequests = CounterMetric(
        "http_requests_total", "HTTP requests answered, by method, route and status.", labels: "method", "route", "status")
    package let httpRequestDuration = HistogramMetric(
        "http_request_duration_seconds", Self.latency, "Time from a request's head to its response, by route and status.", labels: "route",
        "status")
    package let httpRequestsInFlight = GaugeMetric("http_requests_in_flight", "HTTP requests being answered.")
    package let httpBytesInFlight = GaugeMetric(
        "http_bytes_in_flight", "Bytes of memory held by request bodies with their responses (request), and by other responses (answer).",
        labels: "kind")
    package let httpIdleConnectionsClosed = CounterMetric(
        "http_idle_connections_closed_total", "Idle connections closed because the number of connections was near its limit.")

    package let exportsRunning = GaugeMetric("analytics_exports_running", "Exports in progress.")
    package let exportedEvents = CounterMetric("analytics_exported_events_total", "Events written to exports.")
    package let liveReaders = GaugeMetric("http_live_readers", "Clients that receive live events.")
    package let liveReadersDropped = CounterMetric(
        "http_live_readers_dropped_total", "Clients disconnected because they read live events too slowly.")

    package let keyLookUps = CounterMetric(
        "analytics_key_lookups_total",
        "Look-ups of keys: hit (in memory), miss (read from the store), stale (the last state, because the store did not answer), limited "
            + "(too many unknown keys), error (no state, and the store did not answer).", labels: "result")
    package let requestsRefused = CounterMetric(
        "analytics_requests_refused_total", "Requests refused because of their key, session, scope, project or origin, by reason.",
        labels: "reason")
    package let rateLimitedRequests = CounterMetric(
        "analytics_rate_limited_requests_total", "Requests refused because of the rate of their project or key.")
    package let rateLimitedEvents = CounterMetric(
        "analytics_rate_limited_events_total", "Events refused because of the rate of their project or key.")

    package let eventsAccepted = CounterMetric("analytics_events_accepted_total", "Events that the broker confirmed.")
    package let eventsRejected = CounterMetric(
        "analytics_events_rejected_total", "Events rejected at ingest, by reason.", labels: "reason")
    package let eventsUnconfirmed = CounterMetric(
        "analytics_events_unconfirmed_total", "Events that the broker did not confirm; the clients were told to send them again.")
    package let eventsStored = CounterMetric("analytics_events_stored_total", "Events stored.")
    package let eventsStoredByType = CounterMetric(
        "analytics_events_stored_by_type_total",
        "Events stored, by project and type. A project's types beyond the first 50, and projects beyond the first 100, count as other.",
        labels: "project", "type")
    package let eventsDuplicate = CounterMetric(
        "analytics_events_duplicate_total", "Events whose id was already stored with the same content, by another request.")
    package let eventsConflicting = CounterMetric(
        "analytics_events_conflicting_total", "Events whose id was already stored with other content; they are dead-lettered.")
    package let eventsRedelivered = CounterMetric(
        "analytics_events_redelivered_total", "Events that the broker delivered again after they were stored.")
    package let eventsErased = CounterMetric(
        "analytics_events_erased_total", "Events that arrived after their erasure; they are not stored.")
    package let eventsDeadLettered = CounterMetric(
        "analytics_events_dead_lettered_total", "Events and deliveries dead-lettered, by reason.", labels: "reason")
    package let eventProcessingDuration = HistogramMetric(
        "analytics_event_processing_duration_seconds", Self.delay, "Time from an event's receipt until it is stored and marked.")
    package let eventLag = GaugeMetric(
        "analytics_event_lag_seconds", "Age of the oldest event that this processor holds and has not stored.")
    package let pipelineUnsettled = GaugeMetric(
        "analytics_pipeline_unsettled_events",
        "Events of all projects accepted 15 to 75 minutes ago that are neither stored, duplicate, dead-lettered nor erased.")
    package let pipelineUncounted = GaugeMetric(
        "analytics_pipeline_uncounted_events",
        "Events of all projects received 15 to 75 minutes ago and settled, but not counted as accepted by any process.")

    package let queueMessages = GaugeMetric(
        "analytics_queue_messages", "Messages in the queues: ready, unacked (held by this process), dead (dead letters).", labels: "state")
    package let queuePublished = CounterMetric(
        "analytics_queue_published_total", "Messages that the broker confirmed, by destination.", labels: "destination")
    package let queueDelivered = CounterMetric("analytics_queue_delivered_total", "Messages that the broker delivered.")
    package let queueAcknowledged = CounterMetric("analytics_queue_acknowledged_total", "Messages acknowledged to the broker.")

    package let cacheRequests = CounterMetric(
        "analytics_cache_requests_total", "Look-ups of counts in the cache: hit, miss, or error if it did not answer.", labels: "result")

    package let storeOperationDuration = HistogramMetric(
        "analytics_store_operation_duration_seconds", Self.latency, "Time of the store's operations.", labels: "operation")
    package let storeErrors = CounterMetric("analytics_store_errors_total", "Operations of the store that failed.", labels: "operation")

    package let brokerOperationDuration = HistogramMetric(
        "analytics_broker_operation_duration_seconds", Self.latency, "Time of the broker's operations.", labels: "operation")
    package let brokerErrors = CounterMetric(
        "analytics_broker_errors_total", "Operations of the broker that failed, wholly or for some messages.", labels: "operation")

    package let rollupDirtyBuckets = GaugeMetric(
        "analytics_rollup_dirty_buckets", "Dirty buckets that the roller's last pass found, by tier.", labels: "tier")
    package let rollupLag = GaugeMetric(
        "analytics_rollup_lag_seconds", "Age of the oldest dirty bucket since it was last rolled, in seconds.")
    package let rollupRolled = CounterMetric("analytics_rollup_rolled_total", "Buckets rolled, by tier.", labels: "tier")
    package let rollupUnreadable = CounterMetric(
        "analytics_rollup_unreadable_total", "Rollups whose bytes are damaged, by tier; counts were read from the finer tier instead.",
        labels: "tier")
    package let segmentRows = CounterMetric("analytics_segment_rows_total", "Events written to segments; each write counts.")
    package let segmentUnreadable = CounterMetric(
        "analytics_segment_unreadable_total", "Segments whose bytes are damaged; events were read instead.")
    package let segmentsDeleted = CounterMetric(
        "analytics_segment_deletions_total", "Deletions of segments with their expired events.")
    package let rollupExpired = CounterMetric(
        "analytics_rollup_expired_total", "Dirty minutes below the watermark, which keep their count.")

    package let retentionDeletedEvents = CounterMetric("analytics_retention_deleted_events_total", "Events deleted below a watermark.")

    package let erasureDeletedEvents = CounterMetric("analytics_erasure_deleted_events_total", "Events deleted by erasures.")
    package let erasuresOpen = GaugeMetric("analytics_erasures_open", "Erasures that are not done, as last read by this process.")

    package let flushEvents = HistogramMetric("analytics_flush_events", Self.sizes, "Events per flush.")
    package let flushDuration = HistogramMetric(
        "analytics_flush_duration_seconds", Self.latency, "Time of a flush, from insert to acknowledgement.")

    package let dependencyUp = GaugeMetric(
        "analytics_dependency_up", "1 if the store, the broker or the cache answers.", labels: "dependency")

    /// From half a millisecond to ten seconds: a response to an event takes a few milliseconds, a count some tens.
    private static let latency: [Double] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    /// From receipt to stored: normally tens of milliseconds, hours after an outage.
    private static let delay: [Double] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600]
    private static let sizes: [Double] = [1, 5, 10, 50, 100, 250, 500, 1_000, 2_000, 4_000]
}
