import AnalyticsCore
import TestSupport
import Testing

struct BucketKeyTests {
    /// As both stores sort: "-" stands before digits and letters, and a name before those that it begins.
    @Test func keysAreOrderedByProjectThenByIndex() {
        let projects: [ProjectID] = ["a", "a-b", "a0", "ab", "b"]
        let keys = projects.flatMap { project in [-1, 0, 7].map { BucketKey(project: project, index: $0) } }
        #expect(keys.shuffled().sorted() == keys)
    }
}
