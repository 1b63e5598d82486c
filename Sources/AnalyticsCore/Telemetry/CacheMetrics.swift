internal import Metrics

enum CacheMetrics {
    static let hit = Counter(label: "analytics_cache_requests_total", dimensions: [("result", "hit")])
    static let miss = Counter(label: "analytics_cache_requests_total", dimensions: [("result", "miss")])
    static let error = Counter(label: "analytics_cache_requests_total", dimensions: [("result", "error")])

    /// Makes each exist, at 0: a share of hits has to be 0 before the first hit, and not missing.
    static func prepare() {
        _ = (hit, miss, error)
    }
}
