import Synchronization

/// Holds all metrics of the process and renders them as Prometheus text.
///
/// Metrics are recorded through swift-metrics, with ``PrometheusMetricsFactory`` as its backend. Values that are known only at a scrape
/// come from ``onScrape(_:)``.
///
/// Recording on an instrument that the caller keeps is one atomic addition without a lock. Creating an instrument again (`Counter(label:)`
/// on each use) costs two dictionary look-ups under a lock.
public final class PrometheusRegistry: Sendable {
    /// Limits that bound the memory for metrics, for any values of labels.
    public struct Limits: Sendable, Hashable {
        /// Series per metric. Further ones share one series, whose label values are all `__other__`, and
        /// `metrics_label_limit_exceeded_total` counts them.
        public var seriesPerMetric: Int
        /// Metric names that are not in the catalogue. Further ones are not recorded, and `metrics_refused_total{reason="name_limit"}`
        /// counts them.
        public var undeclaredMetrics: Int
        /// UTF-8 bytes per label value; longer values are truncated.
        public var labelValueBytes: Int

        /// Values below 1 are replaced by 1.
        public init(seriesPerMetric: Int = 1_000, undeclaredMetrics: Int = 500, labelValueBytes: Int = 256) {
            self.seriesPerMetric = max(1, seriesPerMetric)
            self.undeclaredMetrics = max(1, undeclaredMetrics)
            self.labelValueBytes = max(1, labelValueBytes)
        }
    }

    /// The `Content-Type` of what ``render()`` returns.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Why a metric is not exposed.
    enum Refusal: String, CaseIterable, Hashable, Sendable {
        /// The name, or one of its sample names, belongs to a metric of another type.
        case typeConflict = "type_conflict"
        case nameLimit = "name_limit"
        /// A collector set more series of one metric than allowed. Recordings of an instrument go to `__other__` instead.
        case seriesLimit = "series_limit"
    }

    struct Request: Hashable {
        var label: String
        var instrument: RequestedInstrument
    }

    struct State {
        var descriptors: [String: MetricDescriptor] = [:]
        var undeclared = 0
        /// The metric that each sample name belongs to.
        var owners: [String: String] = [:]
        var families: [String: MetricFamily] = [:]
        /// Resolved requests: name made valid, looked up in the catalogue, checked for conflicts.
        var resolved: [Request: MetricFamily] = [:]
        var refusals: [Refusal: UInt64] = [:]
        var collectors: [@Sendable (inout ScrapeSamples) -> Void] = []
    }

    let limits: Limits
    let state: Mutex<State>

    /// - Parameters:
    ///   - catalogue: descriptors of the metrics. If a name appears twice, or two metrics would share a sample name
    ///     (a gauge `x_count` and a histogram `x`), the first one wins.
    ///   - limits: limits of memory.
    public init(catalogue: [MetricDescriptor] = [], limits: Limits = Limits()) {
        self.limits = limits
        var state = State()
        for descriptor in SelfMetrics.descriptors + catalogue { state.declare(descriptor) }
        self.state = Mutex(state)
    }

    /// Adds a collector of values that are known only at a scrape. `collect` is called once per rendering, on the rendering thread: it must
    /// be quick and must not block on the network. Collectors are called in the order of their addition; they stay as long as the registry.
    public func onScrape(_ collect: @escaping @Sendable (inout ScrapeSamples) -> Void) {
        state.withLock { $0.collectors.append(collect) }
    }

    /// Exposes a gauge that is always 1 and whose labels describe the running build.
    public func exposeBuildInfo(_ name: String, labels: [(String, String)]) {
        declare(MetricDescriptor(name: name, kind: .gauge, help: "Always 1; the labels say which build is running."))
        onScrape { samples in samples.set(name, labels: labels, to: 1) }
    }

    /// Adds to the catalogue; a known name keeps its descriptor.
    func declare(_ descriptor: MetricDescriptor) {
        state.withLock { state in _ = state.declare(descriptor) }
    }

    /// The instrument for a name and its dimensions, or nil if it is refused.
    func instrument(_ kind: RequestedInstrument, label: String, dimensions: [(String, String)]) -> MetricFamily.Instrument? {
        let family = state.withLock { $0.family(for: Request(label: label, instrument: kind), limits: limits) }
        return family?.instrument(dimensions)
    }

    /// Removes the series of an instrument from the exposition. It iterates over all series, so it is not for frequent use.
    func remove(_ handler: AnyObject) {
        let identity = ObjectIdentifier(handler)
        for family in state.withLock({ Array($0.families.values) }) { family.remove(identity) }
    }
}

extension PrometheusRegistry.State {
    /// Returns false if one of its sample names is taken.
    @discardableResult
    mutating func declare(_ descriptor: MetricDescriptor) -> Bool {
        var descriptor = descriptor
        descriptor.name = MetricName.metric(descriptor.name)
        let names = descriptor.sampleNames
        guard names.allSatisfy({ owners[$0] == nil }) else { return false }
        for name in names { owners[name] = descriptor.name }
        descriptors[descriptor.name] = descriptor
        return true
    }

    /// Adds a descriptor for an undeclared metric if the limit and its names allow it; otherwise returns false and counts the refusal.
    mutating func admit(_ descriptor: MetricDescriptor, limits: PrometheusRegistry.Limits) -> Bool {
        guard undeclared < limits.undeclaredMetrics else {
            refusals[.nameLimit, default: 0] += 1
            return false
        }
        guard declare(descriptor) else {
            refusals[.typeConflict, default: 0] += 1
            return false
        }
        undeclared += 1
        return true
    }

    mutating func family(for request: PrometheusRegistry.Request, limits: PrometheusRegistry.Limits) -> MetricFamily? {
        if let known = resolved[request] { return known }
        let plain = MetricName.metric(request.label)
        let name = descriptors[plain] == nil ? MetricName.conventional(plain, for: request.instrument) : plain
        if owners[name] == nil {
            let descriptor = MetricDescriptor.undeclared(name, label: request.label, instrument: request.instrument)
            guard admit(descriptor, limits: limits) else { return nil }
        }
        guard let descriptor = descriptors[name], request.instrument.canFeed(descriptor.kind) else {
            refusals[.typeConflict, default: 0] += 1
            return nil
        }
        let family = families[name] ?? MetricFamily(descriptor: descriptor, limits: limits)
        families[name] = family
        // The number of spellings is limited too: `a.b` and `a-b` are one metric.
        if resolved.count < 4 * (limits.undeclaredMetrics + descriptors.count) { resolved[request] = family }
        return family
    }
}

extension MetricDescriptor {
    fileprivate static func undeclared(_ name: String, label: String, instrument: RequestedInstrument) -> MetricDescriptor {
        MetricDescriptor(
            name: name,
            kind: instrument.defaultKind,
            help: "Recorded as \(label); not in the catalogue.",
            buckets: instrument == .recorder ? undeclaredAmountBuckets : nil
        )
    }
}
