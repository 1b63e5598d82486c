import AnalyticsCore
import Testing

@testable import AnalyticsEmbedded
@testable import AnalyticsMongoDB

@Suite("Fuzzing: what a store gives back", .timeLimit(.minutes(60)))
struct StoredBytesFuzzTests {
    @Test("A bucket's groups in SQLite are refused, or read back as themselves")
    func sqliteGroups() throws {
        try Fuzzer("sqlite-groups").run { input in
            guard let groups = try? input.withUnsafeBytes(SQLiteRollupGroups.decode) else { return false }
            let bytes = SQLiteRollupGroups.encode(groups)
            try Wrong.unless(try bytes.withUnsafeBytes(SQLiteRollupGroups.decode) == groups, "what is read back is something else")
            _ = GroupFolding.fold(groups + groups)
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
                if let bucket { _ = GroupFolding.fold(bucket.groups + bucket.groups) }
                if event != nil { try Wrong.unless(view.each { _ in }, "an event out of a part of a document") }
                return event != nil || bucket != nil
            }
        }
    }
}
