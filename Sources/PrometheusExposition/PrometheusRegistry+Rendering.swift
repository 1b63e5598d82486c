import Synchronization

extension PrometheusRegistry {
    /// All metrics in the Prometheus text format 0.0.4, as UTF-8: metrics sorted by name, series by labels.
    ///
    /// Takes a few milliseconds for some thousand series. Recording continues meanwhile; each histogram is consistent in itself.
    public func render() -> [UInt8] {
        let collected = collect()
        let families = state.withLock { Array($0.families.values) }
        var sections: [(name: String, section: Section)] = collected.map { ($0.descriptor.name, .collected($0)) }
        sections += families.map { ($0.descriptor.name, .family($0, $0.sortedSeries())) }
        sections.sort { $0.name < $1.name }

        var writer = TextWriter()
        writer.reserveCapacity(64 * 1024)
        for (_, section) in sections { writer.append(section) }
        return writer.bytes
    }

    /// ``render()`` as a string.
    public func renderText() -> String {
        String(decoding: render(), as: UTF8.self)
    }

    fileprivate enum Section {
        case family(MetricFamily, [MetricFamily.Series])
        case collected(CollectedMetric)
    }
}

extension TextWriter {
    fileprivate mutating func append(_ section: PrometheusRegistry.Section) {
        switch section {
        case .family(let family, let series):
            // All series of this name were destroyed.
            guard !series.isEmpty else { return }
            appendHeader(family.descriptor)
            append(series, of: family)
        case .collected(let metric):
            guard !metric.samples.isEmpty else { return }
            appendHeader(metric.descriptor)
            for (labels, value) in metric.samples {
                appendSample(metric.descriptor.name, labels: labels.fragment, value: value)
            }
        }
    }

    private mutating func appendHeader(_ descriptor: MetricDescriptor) {
        appendHeader(name: descriptor.name, kind: descriptor.kind, help: descriptor.help)
    }

    private mutating func append(_ series: [MetricFamily.Series], of family: MetricFamily) {
        let name = family.descriptor.name
        let buckets = HistogramNames(name: name, bounds: family.bounds)
        for one in series {
            switch one.instrument {
            case .counter(let counter):
                appendSeries(name, labels: one.fragment)
                counter.append(to: &self)
                append("\n")
            case .gauge(let gauge):
                appendSeries(name, labels: one.fragment)
                gauge.append(to: &self)
                append("\n")
            case .histogram(let histogram):
                append(histogram, labels: one.fragment, names: buckets)
            }
        }
    }

    private mutating func append(_ histogram: HistogramInstrument, labels: [UInt8], names: HistogramNames) {
        let (cumulative, sum) = histogram.snapshot()
        for (bound, count) in zip(names.bounds, cumulative) {
            append(names.bucketPrefix)
            append(labels)
            append(labels.isEmpty ? bound.first : bound.following)
            append(count)
            append("\n")
        }
        appendSample(names.sum, labels: labels, value: sum)
        appendSeries(names.count, labels: labels)
        append(cumulative.last ?? 0)
        append("\n")
    }
}

/// The parts of a histogram's lines that all its series share, built once per rendering.
private struct HistogramNames {
    struct Bound {
        /// `le="0.5"} `
        let first: [UInt8]
        /// `,le="0.5"} `
        let following: [UInt8]
    }

    let bucketPrefix: [UInt8]
    let sum: String
    let count: String
    let bounds: [Bound]

    init(name: String, bounds: [Double]) {
        bucketPrefix = Array("\(name)_bucket{".utf8)
        sum = name + "_sum"
        count = name + "_count"
        self.bounds = (bounds + [.infinity]).map { bound in
            var writer = TextWriter()
            writer.append("le=\"")
            writer.append(bound)
            writer.append("\"} ")
            return Bound(first: writer.bytes, following: [UInt8(ascii: ",")] + writer.bytes)
        }
    }
}
