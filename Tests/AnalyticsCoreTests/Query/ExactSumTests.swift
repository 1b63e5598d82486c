import TestSupport
import Testing

@testable import AnalyticsCore

struct ExactSumTests {
    private func sum(_ values: [Double]) -> Double {
        var sum = ExactSum()
        for value in values { sum.add(value) }
        return sum.value
    }

    @Test(
        arguments: [
            ([], 0), ([0.1, 0.2, 0.3], 0.6), ([1e16, 1, 1], 1e16 + 2), ([1e100, 1, -1e100], 1), ([1e308, 1e308, -1e308], 1e308),
            ([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], 1), ([1, 1e-16, 1e-32], 1), ([-0.0, 0], 0),
            // Half way between two doubles: the even one, unless something is left that decides.
            ([1e308, 1e308], .infinity), ([1.7e308, 1e-300, 1.7e308, -1.7e308, -1.7e308], 1e-300), ([1e16, 1], 1e16),
            ([1e16, 1, 1e-3], 1e16 + 2), ([1e16, 1, -1e-3], 1e16), ([-1e16, -1, -1e-3], -1e16 - 2),
        ] as [([Double], Double)])
    func sumsAreRoundedOnce(values: [Double], expected: Double) {
        #expect(sum(values) == expected && sum(values.reversed()) == expected, "\(values)")
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func theOrderDoesNotMatter(seed: UInt64) {
        var random = Seeded(seed)
        let values = (0..<1 + random.below(200)).map { _ in
            let exponent = Double(random.below(80) - 40)
            return (Double(random.below(2_000_000)) - 1_000_000) * Double.exponent2(exponent)
        }
        let expected = sum(values)
        for _ in 0..<5 { #expect(sum(values.shuffled(using: &random)) == expected) }
        var (first, second) = (ExactSum(), ExactSum())
        for (index, value) in values.enumerated() { if index.isMultiple(of: 2) { first.add(value) } else { second.add(value) } }
        first.add(second)
        #expect(first.value == expected)
        // What is added and taken away again leaves nothing behind.
        #expect(sum(values + values.map { -$0 }) == 0)
    }
}

extension Double {
    fileprivate static func exponent2(_ exponent: Double) -> Double { Double(sign: .plus, exponent: Int(exponent), significand: 1) }
}
