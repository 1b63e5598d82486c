internal import Metrics

enum CacheMetrics {
    static let hit = MetricCatalogue.metrics.cacheRequests.make("hit")
    static let miss = MetricCatalogue.metrics.cacheRequests.make("miss")
    static let error = MetricCatalogue.metrics.cacheRequests.make("error")

    /// Registers each counter at 0: before the first hit, the hit ratio must be 0 and not missing.
    static func prepare() {
        _ = (hit, miss, error)
    }
}
