internal import Metrics

enum CacheMetrics {
    static let hit = MetricCatalogue.metrics.cacheRequests.make("hit")
    static let miss = MetricCatalogue.metrics.cacheRequests.make("miss")
    static let error = MetricCatalogue.metrics.cacheRequests.make("error")

    /// Makes each exist, at 0: a share of hits has to be 0 before the first hit, and not missing.
    static func prepare() {
        _ = (hit, miss, error)
    }
}
