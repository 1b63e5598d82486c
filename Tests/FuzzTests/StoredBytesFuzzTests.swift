import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsMongoDB

@Suite("Fuzzing: what a store gives back", .timeLimit(.minutes(60)))
struct StoredBytesFuzzTests {
    @Test("A bucket's table is refused, or read back as itself, and its sums are those of its groups")
    func tables() throws {
        try Fuzzer("group-table").run { input in
            let table = GroupTable(bytes: input)
            var tally = CountTally(CountQuery(Selection(project: "p")))
            guard let groups = try? table.groups() else {
                try Wrong.unless(
                    (try? tally.add(table, of: BucketSpan(tier: .hour, index: 0))) == nil || (try? tally.answer()) != nil,
                    "a table that is not read is added up")
                return false
            }
            let again = GroupTable(groups)
            if again != .overflow {
                try Wrong.unless(try again.groups().reduce(0) { $0 + $1.count } == groups.reduce(0) { $0 + $1.count }, "another total")
                try Wrong.unless(GroupTable(try again.groups()) == again, "what is read back is something else")
            }
            try tally.add(table, of: BucketSpan(tier: .hour, index: 0))
            try Wrong.unless(try tally.answer().total == groups.reduce(0) { $0 + $1.count }, "added up to something else")
            return true
        }
    }

    @Test("A document of MongoDB's is refused, or read as an event or a bucket")
    func documents() throws {
        try Fuzzer("bson").run { input in
            try input.withUnsafeBytes { bytes in
                let view = BSONView(bytes)
                let event = StoredEvent(view)
                let bucket = Rollup(view, .hour)
                if let bucket { _ = try? bucket.table.groups() }
                if event != nil { try Wrong.unless(view.each { _ in }, "an event out of a part of a document") }
                return event != nil || bucket != nil
            }
        }
    }
}
