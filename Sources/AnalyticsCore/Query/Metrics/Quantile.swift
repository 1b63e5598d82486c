/// Quantiles with linear interpolation between ranks, in the arithmetic of numpy's default (`_lerp` in numpy/lib/function_base.py).
enum Quantile {
    /// - Parameters:
    ///   - count: How many values there are.
    ///   - value: The value of a rank, from 0, in ascending order.
    static func value(_ share: Double, count: Int, _ value: (Int) -> Double) -> Double? {
        guard count > 0 else { return nil }
        let rank = Double(count - 1) * share
        let index = Int(rank)
        guard index + 1 < count else { return value(count - 1) }
        let (low, high, part) = (value(index), value(index + 1), rank - Double(index))
        // The difference may overflow; at an exact rank it is not needed.
        if part == 0 { return low }
        guard (high - low).isFinite else { return low * (1 - part) + high * part }
        return part < 0.5 ? low + (high - low) * part : high - (high - low) * (1 - part)
    }

    /// From lengths in milliseconds, in ascending order. Returns seconds.
    static func seconds<Lengths: RandomAccessCollection>(_ share: Double, of lengths: Lengths) -> Double?
    where Lengths.Element: BinaryInteger, Lengths.Index == Int {
        value(share, count: lengths.count) { Double(lengths[lengths.startIndex + $0]) }.map { $0 / 1_000 }
    }
}
