/// The definition of a metric: its type, help text and bucket bounds.
///
/// A catalogue of descriptors is passed to ``PrometheusRegistry/init(catalogue:limits:)``. A name that is not in the
/// catalogue is also exposed, with a conventional name and default buckets.
public struct MetricDescriptor: Sendable, Hashable {
    /// The Prometheus type of a metric.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Only grows, and starts at zero with the process. Its name ends in `_total`.
        case counter
        /// The current value at the scrape.
        case gauge
        /// A distribution: cumulative buckets, their count and their sum.
        case histogram
    }

    /// The exposed name, with its unit and, for a counter, `_total`.
    public var name: String
    /// The type. It takes precedence over the requested instrument if both are compatible: a recorder feeds a gauge or a histogram, as
    /// declared.
    public var kind: Kind
    /// One sentence for the `# HELP` line.
    public var help: String
    /// Upper bounds of a histogram's buckets, inclusive, in the unit of the name; `+Inf` is implied. They are sorted; repeated and
    /// non-finite bounds are dropped. `nil` or empty: ``defaultBuckets``.
    public var buckets: [Double]?

    public init(name: String, kind: Kind, help: String, buckets: [Double]? = nil) {
        self.name = name
        self.kind = kind
        self.help = help
        self.buckets = buckets
    }

    /// Seconds, from 1 ms to 60 s: the bounds of a histogram without declared ones.
    public static let defaultBuckets: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

    /// Amounts from 1 to 100,000: the bounds of an undeclared recorder, whose unit is unknown.
    static let undeclaredAmountBuckets: [Double] = [1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000]

    /// The bounds of a histogram: finite, ascending, unique, at least one.
    var bounds: [Double] {
        let finite = Set((buckets ?? []).filter(\.isFinite)).sorted()
        return finite.isEmpty ? Self.defaultBuckets : finite
    }

    /// All names of this metric's samples; no other metric may use them.
    var sampleNames: [String] {
        kind == .histogram ? [name, name + "_bucket", name + "_sum", name + "_count"] : [name]
    }
}
