/// What a metric is: the one place that its type, its help text and its bucket bounds come from.
///
/// A catalogue of descriptors is given to ``PrometheusRegistry/init(catalogue:limits:)``. What is recorded under a name that the
/// catalogue does not know is exposed all the same, under a name made conventional and with default buckets.
public struct MetricDescriptor: Sendable, Hashable {
    /// The Prometheus type of a metric.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Only grows, and starts again at zero with the process. Its name ends in `_total`.
        case counter
        /// A value that is true at the moment of the scrape.
        case gauge
        /// A distribution: cumulative buckets, their count and their sum.
        case histogram
    }

    /// The name as it is exposed, with its unit and, for a counter, `_total`.
    public var name: String
    /// The type. It wins over the instrument that is asked for where the two can be reconciled: a recorder feeds a gauge or a histogram,
    /// whichever is declared.
    public var kind: Kind
    /// One sentence for the `# HELP` line.
    public var help: String
    /// Upper bounds of a histogram's buckets, inclusive, in the unit of the name; `+Inf` is implied. They are sorted, and what is repeated
    /// or not finite is left out. `nil` or empty: ``defaultBuckets``.
    public var buckets: [Double]?

    public init(name: String, kind: Kind, help: String, buckets: [Double]? = nil) {
        self.name = name
        self.kind = kind
        self.help = help
        self.buckets = buckets
    }

    /// Seconds, from 1 ms to 60 s: the bounds of a histogram for which none are declared.
    public static let defaultBuckets: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

    /// Amounts, from 1 to 100,000: the bounds of an undeclared recorder, whose unit nobody knows.
    static let undeclaredAmountBuckets: [Double] = [1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000]

    /// The bounds as a histogram needs them: finite, ascending, no two alike, at least one.
    var bounds: [Double] {
        let finite = Set((buckets ?? []).filter(\.isFinite)).sorted()
        return finite.isEmpty ? Self.defaultBuckets : finite
    }

    /// Every name that a sample of this metric is exposed under; no other metric may use one of them.
    var sampleNames: [String] {
        kind == .histogram ? [name, name + "_bucket", name + "_sum", name + "_count"] : [name]
    }
}
