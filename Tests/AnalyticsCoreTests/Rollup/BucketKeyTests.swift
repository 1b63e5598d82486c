import Testing

@testable import AnalyticsCore

struct BucketKeyTests {
    /// Swift takes each pair for equal text; the stores do not.
    @Test(arguments: [("caf\u{E9}", "cafe\u{301}"), ("\u{212A}", "K"), ("\u{1100}\u{1161}", "\u{AC00}"), ("\u{37E}", ";")])
    func projectsDifferByTheirBytes(one: String, other: String) {
        let keys = [one, other].map { BucketKey(project: $0, index: 7) }
        #expect(keys[0] != keys[1] && Set(keys).count == 2)
        #expect((keys[0] < keys[1]) != (keys[1] < keys[0]))
        #expect(keys[0] == BucketKey(project: one, index: 7) && keys[0] != BucketKey(project: one, index: 8))
    }
}
