internal import Metrics

enum RollupMetrics {
    /// Tables that could not be read: their buckets are read from what is finer.
    static func unreadable(_ tier: RollupTier) -> Counter {
        MetricCatalogue.metrics.rollupUnreadable.make(tier.rawValue)
    }

    /// Makes each exist, at 0.
    static func prepare() {
        for tier in RollupTier.allCases { _ = unreadable(tier) }
    }
}
