internal import Metrics

enum RollupMetrics {
    /// Tables that could not be read: their buckets are read from the finer tier.
    static func unreadable(_ tier: RollupTier) -> Counter {
        MetricCatalogue.metrics.rollupUnreadable.make(tier.rawValue)
    }

    /// Registers each counter at 0.
    static func prepare() {
        for tier in RollupTier.allCases { _ = unreadable(tier) }
    }
}
