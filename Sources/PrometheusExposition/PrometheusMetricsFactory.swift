public import CoreMetrics

/// The swift-metrics backend over a ``PrometheusRegistry``: `MetricsSystem.bootstrap(PrometheusMetricsFactory(registry: registry))`.
///
/// - Counters are exposed with the suffix `_total`, timers in seconds with the suffix `_seconds`; names that are not in the catalogue get a
///   missing suffix.
/// - A recorder that aggregates, and a timer, are histograms; a recorder that does not, and a meter, are gauges.
/// - The same name and dimensions give the same instrument. A refused request (see ``PrometheusRegistry/Limits``) gets one that does
///   nothing.
/// - `destroy()` removes the series from the exposition, also for other holders of its instrument.
public struct PrometheusMetricsFactory: MetricsFactory {
    public let registry: PrometheusRegistry

    public init(registry: PrometheusRegistry) {
        self.registry = registry
    }

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        guard case .counter(let counter) = registry.instrument(.counter, label: label, dimensions: dimensions) else {
            return NOOPMetricsHandler.instance
        }
        return counter
    }

    public func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        guard case .counter(let counter) = registry.instrument(.counter, label: label, dimensions: dimensions) else {
            return NOOPMetricsHandler.instance
        }
        return counter
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        guard case .gauge(let gauge) = registry.instrument(.meter, label: label, dimensions: dimensions) else {
            return NOOPMetricsHandler.instance
        }
        return gauge
    }

    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        switch registry.instrument(aggregate ? .recorder : .gauge, label: label, dimensions: dimensions) {
        case .gauge(let gauge): gauge
        case .histogram(let histogram): histogram
        case .counter, nil: NOOPMetricsHandler.instance
        }
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        guard case .histogram(let histogram) = registry.instrument(.timer, label: label, dimensions: dimensions) else {
            return NOOPMetricsHandler.instance
        }
        return histogram
    }

    public func destroyCounter(_ handler: any CounterHandler) { registry.remove(handler) }
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { registry.remove(handler) }
    public func destroyMeter(_ handler: any MeterHandler) { registry.remove(handler) }
    public func destroyRecorder(_ handler: any RecorderHandler) { registry.remove(handler) }
    public func destroyTimer(_ handler: any TimerHandler) { registry.remove(handler) }
}
