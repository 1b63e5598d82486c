import Synchronization

/// One metric name: its descriptor and its series, at most the limit plus one.
final class MetricFamily: Sendable {
    enum Instrument: Sendable {
        case counter(CounterInstrument)
        case gauge(GaugeInstrument)
        case histogram(HistogramInstrument)

        var identity: ObjectIdentifier {
            switch self {
            case .counter(let instrument): ObjectIdentifier(instrument)
            case .gauge(let instrument): ObjectIdentifier(instrument)
            case .histogram(let instrument): ObjectIdentifier(instrument)
            }
        }
    }

    struct Series: Sendable {
        let labels: LabelSet
        let fragment: [UInt8]
        let instrument: Instrument
    }

    private struct State {
        /// By dimensions as callers give them; several forms may lead to one series.
        var byRawDimensions: [RawDimensions: Instrument] = [:]
        var byLabels: [LabelSet: Instrument] = [:]
        var overflow: Instrument?
        var series: [Series] = []
        var isSorted = true
    }

    let descriptor: MetricDescriptor
    let bounds: [Double]
    private let limits: PrometheusRegistry.Limits
    private let state = Mutex(State())
    private let diverted = Atomic<UInt64>(0)

    init(descriptor: MetricDescriptor, limits: PrometheusRegistry.Limits) {
        self.descriptor = descriptor
        self.bounds = descriptor.kind == .histogram ? descriptor.bounds : []
        self.limits = limits
    }

    /// Number of look-ups beyond the label limit.
    var divertedLookups: UInt64 {
        diverted.load(ordering: .relaxed)
    }

    /// The instrument of these dimensions, the same for each call. Beyond the label limit, all share one instrument.
    func instrument(_ dimensions: [(String, String)]) -> Instrument {
        let raw = RawDimensions(pairs: dimensions)
        return state.withLock { state in
            if let known = state.byRawDimensions[raw] { return known }
            let labels = labelSet(dimensions)
            if let known = state.byLabels[labels] {
                remember(known, as: raw, in: &state)
                return known
            }
            let room = limits.seriesPerMetric + (state.overflow == nil ? 0 : 1)
            guard state.byLabels.count < room else {
                diverted.wrappingAdd(1, ordering: .relaxed)
                return overflowInstrument(like: labels, in: &state)
            }
            let made = add(labels, to: &state)
            remember(made, as: raw, in: &state)
            return made
        }
    }

    /// Removes a series from the exposition; its slot under the label limit is free again.
    func remove(_ identity: ObjectIdentifier) {
        state.withLock { state in
            guard let index = state.series.firstIndex(where: { $0.instrument.identity == identity }) else { return }
            let removed = state.series.remove(at: index)
            state.byLabels[removed.labels] = nil
            state.byRawDimensions = state.byRawDimensions.filter { $0.value.identity != identity }
            if state.overflow?.identity == identity { state.overflow = nil }
        }
    }

    /// All series, sorted by labels.
    func sortedSeries() -> [Series] {
        state.withLock { state in
            if !state.isSorted {
                state.series.sort { $0.labels < $1.labels }
                state.isSorted = true
            }
            return state.series
        }
    }

    func labelSet(_ dimensions: [(String, String)]) -> LabelSet {
        LabelSet(dimensions, maximumValueBytes: limits.labelValueBytes, reservesBucketLabel: descriptor.kind == .histogram)
    }

    /// One series for everything beyond the limit. It has the label names of the first caller that needed it: label names come from code.
    private func overflowInstrument(like labels: LabelSet, in state: inout State) -> Instrument {
        if let overflow = state.overflow { return overflow }
        let overflowLabels = labels.overflow
        let overflow = state.byLabels[overflowLabels] ?? add(overflowLabels, to: &state)
        state.overflow = overflow
        return overflow
    }

    private func add(_ labels: LabelSet, to state: inout State) -> Instrument {
        let instrument = makeInstrument()
        state.byLabels[labels] = instrument
        state.series.append(Series(labels: labels, fragment: labels.fragment, instrument: instrument))
        state.isSorted = false
        return instrument
    }

    /// The number of forms is limited too, because an unlimited number can lead to one series (long values are truncated).
    private func remember(_ instrument: Instrument, as raw: RawDimensions, in state: inout State) {
        guard state.byRawDimensions.count < 2 * limits.seriesPerMetric, raw.fits(maximumValueBytes: limits.labelValueBytes) else { return }
        state.byRawDimensions[raw] = instrument
    }

    private func makeInstrument() -> Instrument {
        switch descriptor.kind {
        case .counter: .counter(CounterInstrument())
        case .gauge: .gauge(GaugeInstrument())
        case .histogram: .histogram(HistogramInstrument(bounds: bounds))
        }
    }
}
