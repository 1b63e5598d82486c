/// A sum of doubles that is rounded once: in any order of the numbers, it is the double nearest to their exact sum.
struct ExactSum: Sendable {
    private var partials = PartialSums()
    /// Numbers so large that their sum might overflow, scaled down.
    private var large = PartialSums()

    private static let largest = Double(sign: .plus, exponent: 900, significand: 1)
    private static let scale = Double(sign: .plus, exponent: -128, significand: 1)

    mutating func add(_ value: Double) {
        if abs(value) < Self.largest { partials.add(value) } else { large.add(value * Self.scale) }
    }

    mutating func add(_ other: ExactSum) {
        for value in other.partials.values { partials.add(value) }
        for value in other.large.values { large.add(value) }
    }

    /// Infinite if it exceeds the range of a double.
    var value: Double { scaled.map { $0 / Self.scale } ?? partials.rounded }

    /// The sum divided by the count of numbers.
    func mean(of count: Int64) -> Double {
        let value = value
        guard let scaled, !value.isFinite else { return value / Double(count) }
        return scaled / Double(count) / Self.scale
    }

    /// The sum, scaled down; `nil` if it has no large number.
    private var scaled: Double? {
        guard large.values.contains(where: { $0 != 0 }) else { return nil }
        var sum = large
        for value in partials.values where value != 0 {
            let scaled = value * Self.scale
            // A value too small to scale still decides the rounding of a sum halfway between two doubles.
            sum.add(scaled == 0 ? Double(signOf: value, magnitudeOf: .leastNonzeroMagnitude) : scaled)
        }
        return sum.rounded
    }
}

/// J. Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997: partial sums that do not overlap, as Python's `math.fsum` keeps them.
private struct PartialSums: Sendable {
    /// In ascending magnitude; their exact sum is the sum of all added values.
    private(set) var values: [Double] = []

    mutating func add(_ value: Double) {
        var value = value
        var kept = 0
        for index in values.indices {
            var partial = values[index]
            if abs(value) < abs(partial) { (value, partial) = (partial, value) }
            let high = value + partial
            let low = partial - (high - value)
            if low != 0 {
                values[kept] = low
                kept += 1
            }
            value = high
        }
        values.removeLast(values.count - kept)
        values.append(value)
    }

    var rounded: Double {
        guard var high = values.last else { return 0 }
        var low = 0.0
        var rest = values.dropLast()
        while let partial = rest.popLast() {
            let sum = high + partial
            low = partial - (sum - high)
            high = sum
            if low != 0 { break }
        }
        // Halfway between two doubles: the remaining partials decide, not round-half-to-even.
        if let partial = rest.last, (low < 0 && partial < 0) || (low > 0 && partial > 0) {
            let doubled = low * 2
            let sum = high + doubled
            if doubled == sum - high { high = sum }
        }
        return high
    }
}
