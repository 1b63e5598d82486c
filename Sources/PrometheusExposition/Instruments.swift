import CoreMetrics
import Synchronization

/// A sum that only grows. Whole amounts are exact up to 2⁶⁴ and wait-free; fractions are kept separately.
///
/// Ignores amounts that are negative or not finite: a decreasing counter looks like a restart of the process.
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

/// A value that is set, or moves up and down.
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
/// The count is not stored: it is the sum of the buckets, so that `+Inf` and `_count` agree in every scrape even during concurrent
/// recording. The sum is a `Double`: at thousands of events per second that wait for a second each, nanoseconds in 64 bits overflow within
/// days.
final class HistogramInstrument: RecorderHandler, TimerHandler {
    private final class Cell: Sendable {
        let count = Atomic<UInt64>(0)
    }

    private let bounds: [Double]
    /// One cell per bound, and one for values above all bounds.
    private let cells: [Cell]
    private let sum = AtomicDouble()

    init(bounds: [Double]) {
        self.bounds = bounds
        cells = (0...bounds.count).map { _ in Cell() }
    }

    /// Ignores values that are not finite: one of them would spoil the sum until the process ends.
    func record(_ value: Double) {
        guard value.isFinite else { return }
        cells[bucket(of: value)].count.wrappingAdd(1, ordering: .relaxed)
        sum.add(value)
    }

    func record(_ value: Int64) {
        record(Double(value))
    }

    /// A negative duration (the clock was set back) counts as zero.
    func recordNanoseconds(_ duration: Int64) {
        record(Double(max(duration, 0)) / 1e9)
    }

    /// Ignored: durations are exposed in seconds, Prometheus' base unit.
    func preferDisplayUnit(_ unit: TimeUnit) {}

    /// Cumulative counts up to and including each bound, the last for `+Inf`; and the sum of all values.
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
