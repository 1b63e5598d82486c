import AnalyticsCore
import Testing

@testable import AnalyticsMongoDB

@Suite struct MongoDriverTests {
    @Test(
        "A driver that is missing, or lacks a function, is a misconfiguration that names it",
        arguments: [("libmongoc-0.9.so.0", "libmongoc-0.9.so.0"), ("libbson-1.0.so.0", "libbson-1.0.so.0 has no function mongoc_init")])
    func missing(_ library: String, _ reason: String) {
        #expect {
            try Driver.load(library).get()
        } throws: { error in
            guard let error = error as? StoreError else { return false }
            return error.code == .misconfigured && error.message.contains(reason)
        }
        // What has been loaded stays.
        #expect(throws: Never.self) { try ConnectionSettings("mongodb://h", database: nil) }
    }
}
