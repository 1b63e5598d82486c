import Synchronization

/// Holds every metric of the process and renders them as Prometheus text.
///
/// Metrics are recorded through swift-metrics, with ``PrometheusMetricsFactory`` as its backend; what is only known at the moment of a scrape
/// comes from ``onScrape(_:)``.
///
/// An instrument that a caller keeps costs one atomic addition a recording and takes no lock. Making one again (`Counter(label:)` on
/// each use) costs two dictionary look-ups under a lock.
public final class PrometheusRegistry: Sendable {
    /// What bounds the memory that metrics can take, however wild the values are that reach their labels.
    public struct Limits: Sendable, Hashable {
        /// Series of one metric. Those beyond share one more, whose label values are all `__other__`, and
        /// `metrics_label_limit_exceeded_total` counts them.
        public var seriesPerMetric: Int
        /// Metric names that are not in the catalogue. Beyond them nothing is recorded, and `metrics_refused_total{reason="name_limit"}`
        /// counts it.
        public var undeclaredMetrics: Int
        /// UTF-8 bytes of one label value; what is longer is cut.
        public var labelValueBytes: Int

        /// Values below 1 are taken as 1.
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
        /// The name, or one that its samples would have, belongs to a metric of another type.
        case typeConflict = "type_conflict"
        case nameLimit = "name_limit"
        /// A collector set more series of one metric than are allowed; what an instrument records goes to `__other__` instead.
        case seriesLimit = "series_limit"
    }

    struct Request: Hashable {
        var label: String
        var instrument: RequestedInstrument
    }

    struct State {
        var descriptors: [String: MetricDescriptor] = [:]
        var undeclared = 0
        /// Which metric each sample name belongs to.
        var owners: [String: String] = [:]
        var families: [String: MetricFamily] = [:]
        /// What callers ask for, resolved once: the name made valid, looked up in the catalogue, checked for conflicts.
        var resolved: [Request: MetricFamily] = [:]
        var refusals: [Refusal: UInt64] = [:]
        var collectors: [@Sendable (inout ScrapeSamples) -> Void] = []
    }

    let limits: Limits
    let state: Mutex<State>

    /// - Parameters:
    ///   - catalogue: what is known about the metrics to come. Where a name appears twice, or two metrics would share the name of a sample
    ///     (a gauge `x_count` beside a histogram `x`), the first stays.
    ///   - limits: bounds of what is kept.
    public init(catalogue: [MetricDescriptor] = [], limits: Limits = Limits()) {
        self.limits = limits
        var state = State()
        for descriptor in SelfMetrics.descriptors + catalogue { state.declare(descriptor) }
        self.state = Mutex(state)
    }

    /// Adds what can only be known at a scrape. `collect` is called once for each rendering, on the thread that renders: it must be quick and must not
    /// block on the network. Collectors are called in the order in which they were added; they stay until the registry goes away.
    public func onScrape(_ collect: @escaping @Sendable (inout ScrapeSamples) -> Void) {
        state.withLock { $0.collectors.append(collect) }
    }

    /// Exposes a gauge that is always 1 and whose labels say what is running.
    public func exposeBuildInfo(_ name: String, labels: [(String, String)]) {
        declare(MetricDescriptor(name: name, kind: .gauge, help: "Always 1; the labels say which build is running."))
        onScrape { samples in samples.set(name, labels: labels, to: 1) }
    }

    /// Adds to the catalogue; a name that is known already keeps its descriptor.
    func declare(_ descriptor: MetricDescriptor) {
        state.withLock { state in _ = state.declare(descriptor) }
    }

    /// The instrument for a name and its dimensions, or nil where it is refused.
    func instrument(_ kind: RequestedInstrument, label: String, dimensions: [(String, String)]) -> MetricFamily.Instrument? {
        let family = state.withLock { $0.family(for: Request(label: label, instrument: kind), limits: limits) }
        return family?.instrument(dimensions)
    }

    /// Takes the series of an instrument out of the exposition. Costs a walk over all series: it is not for what happens often.
    func remove(_ handler: AnyObject) {
        let identity = ObjectIdentifier(handler)
        for family in state.withLock({ Array($0.families.values) }) { family.remove(identity) }
    }
}

extension PrometheusRegistry.State {
    /// False where one of its sample names is taken.
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

    /// Adds what was recorded without being in the catalogue, as long as there is room and its names are free; false, and counted, otherwise.
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
        // Spellings of a name are limited as names are: `a.b` and `a-b` are one metric.
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
