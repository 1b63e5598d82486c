import AnalyticsCore
import Testing

struct ProjectIDTests {
    @Test(arguments: ["a", "0", "shop", "my-shop_2", String(repeating: "a", count: 64)])
    func aSlugIsOne(name: String) {
        #expect(ProjectID(name)?.name == name)
    }

    /// Among them those that Swift takes for equal, and one that is lower case only in Unicode.
    @Test(arguments: [
        "", "-a", "_a", "A", "Shop", "a b", "a.b", "a/b", "$a", "a\0", "a\n", "caf\u{E9}", "cafe\u{301}", "\u{212A}", "ß", "a\u{200B}",
        String(repeating: "a", count: 65),
    ])
    func anythingElseIsNone(name: String) {
        #expect(ProjectID(name) == nil)
    }

    @Test func theyAreOrderedByTheirBytes() {
        let names = ["b", "a", "a-b", "a_b", "a0", "ab"]
        #expect(names.compactMap { ProjectID($0) }.sorted().map(\.name) == ["a", "a-b", "a0", "a_b", "ab", "b"])
    }
}
