import Synchronization

/// Values that are read at a scrape; see ``PrometheusRegistry/onScrape(_:)``.
///
/// A scrape exposes only what is set during it, so label values that no longer exist need no removal.
public struct ScrapeSamples {
    private(set) var values: [String: [(labels: [(String, String)], value: Double)]] = [:]

    init() {}

    /// Exposes `value`. Type and help come from the catalogue; a name that is not in it is a counter if it ends in `_total`, otherwise a
    /// gauge. Histograms cannot be set. If the same labels are set twice, the later value counts.
    public mutating func set(_ name: String, labels: [(String, String)] = [], to value: Double) {
        values[name, default: []].append((labels, value))
    }
}

/// The samples of one metric, ready for writing.
struct CollectedMetric {
    let descriptor: MetricDescriptor
    let samples: [(labels: LabelSet, value: Double)]
}

extension PrometheusRegistry {
    /// Calls all collectors. They run outside the lock, because they may use the registry's own instruments.
    func collect() -> [CollectedMetric] {
        let collectors = state.withLock { $0.collectors }
        var samples = ScrapeSamples()
        for collector in collectors { collector(&samples) }
        var collected = samples.values.compactMap { resolve($0.key, samples: $0.value, limit: limits.seriesPerMetric) }

        let (families, refusals) = state.withLock { (Array($0.families.values), $0.refusals) }
        var own = ScrapeSamples()
        SelfMetrics.collect(into: &own, families: families, refusals: refusals)
        // Their labels are metric names and reasons, which are already limited.
        collected += own.values.compactMap { resolve($0.key, samples: $0.value, limit: .max) }
        return collected
    }

    private func resolve(_ name: String, samples: [(labels: [(String, String)], value: Double)], limit: Int) -> CollectedMetric? {
        let name = MetricName.metric(name)
        let descriptor: MetricDescriptor? = state.withLock { state in
            if state.owners[name] == nil {
                let kind: MetricDescriptor.Kind = MetricName.ends(name, with: "_total") ? .counter : .gauge
                let descriptor = MetricDescriptor(name: name, kind: kind, help: "Read at each scrape; not in the catalogue.")
                guard state.admit(descriptor, limits: limits) else { return nil }
            }
            guard let descriptor = state.descriptors[name], descriptor.kind != .histogram, state.families[name] == nil else {
                state.refusals[.typeConflict, default: 0] += 1
                return nil
            }
            return descriptor
        }
        guard let descriptor else { return nil }
        return CollectedMetric(descriptor: descriptor, samples: bounded(samples, to: limit))
    }

    /// Unique series, sorted, at most `limit`.
    private func bounded(_ samples: [(labels: [(String, String)], value: Double)], to limit: Int) -> [(labels: LabelSet, value: Double)] {
        var byLabels: [LabelSet: Double] = [:]
        for (dimensions, value) in samples {
            let labels = LabelSet(dimensions, maximumValueBytes: limits.labelValueBytes, reservesBucketLabel: false)
            if byLabels[labels] != nil || byLabels.count < limit {
                byLabels[labels] = value
            } else {
                state.withLock { $0.refusals[.seriesLimit, default: 0] += 1 }
            }
        }
        return byLabels.map { ($0.key, $0.value) }.sorted { $0.labels < $1.labels }
    }
}
