import CoreMetrics
import Synchronization

/// A sum that only grows. Whole amounts are counted exactly up to 2⁶⁴ and wait-free; fractions are kept beside them.
///
/// Amounts that are negative or not finite are ignored: a counter that goes down reads as a restart of the process.
final class CounterInstrument: CounterHandler, FloatingPointCounterHandler {
    private let whole = Atomic<UInt64>(0)
    private let fractional = AtomicDouble()

    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        whole.wrappingAdd(UInt64(amount), ordering: .relaxed)
    }

    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        if amount < 0x1p53, amount == amount.rounded(.towardZero) {
            whole.wrappingAdd(UInt64(amount), ordering: .relaxed)
        } else {
            fractional.add(amount)
        }
    }

    func reset() {
        whole.store(0, ordering: .relaxed)
        fractional.store(0)
    }

    func append(to writer: inout TextWriter) {
        let fraction = fractional.load()
        let count = whole.load(ordering: .relaxed)
        if fraction == 0 {
            writer.append(count)
        } else {
            writer.append(Double(count) + fraction)
        }
    }
}

/// A value that is set, or moved up and down.
final class GaugeInstrument: MeterHandler, RecorderHandler {
    private let value = AtomicDouble()

    func set(_ value: Int64) { self.value.store(Double(value)) }
    func set(_ value: Double) { self.value.store(value) }
    func increment(by amount: Double) { value.add(amount) }
    func decrement(by amount: Double) { value.add(-amount) }
    func record(_ value: Int64) { set(value) }
    func record(_ value: Double) { set(value) }

    func append(to writer: inout TextWriter) {
        writer.append(value.load())
    }
}

/// A distribution over fixed buckets.
///
/// The count is never kept: it is the sum of the buckets, so that `+Inf` and `_count` agree in every scrape, whoever records meanwhile.
/// The sum is a `Double`, because nanoseconds in 64 bits overflow within days where thousands of events a second wait for a second each.
final class HistogramInstrument: RecorderHandler, TimerHandler {
    private final class Cell: Sendable {
        let count = Atomic<UInt64>(0)
    }

    private let bounds: [Double]
    /// One a bound, and one for what is above them all.
    private let cells: [Cell]
    private let sum = AtomicDouble()

    init(bounds: [Double]) {
        self.bounds = bounds
        cells = (0...bounds.count).map { _ in Cell() }
    }

    /// Values that are not finite are ignored: one of them would make the sum useless until the process ends.
    func record(_ value: Double) {
        guard value.isFinite else { return }
        cells[bucket(of: value)].count.wrappingAdd(1, ordering: .relaxed)
        sum.add(value)
    }

    func record(_ value: Int64) {
        record(Double(value))
    }

    /// A duration below zero (a clock that was set back) counts as zero.
    func recordNanoseconds(_ duration: Int64) {
        record(Double(max(duration, 0)) / 1e9)
    }

    /// Durations are exposed in seconds, Prometheus' base unit, whatever a caller would rather see.
    func preferDisplayUnit(_ unit: TimeUnit) {}

    /// Counts up to and including each bound, the last of them for `+Inf`; and the sum of all values.
    func snapshot() -> (cumulative: [UInt64], sum: Double) {
        var total: UInt64 = 0
        let cumulative = cells.map { cell in
            total &+= cell.count.load(ordering: .relaxed)
            return total
        }
        return (cumulative, sum.load())
    }

    /// The first bucket whose bound is not below `value`.
    private func bucket(of value: Double) -> Int {
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
