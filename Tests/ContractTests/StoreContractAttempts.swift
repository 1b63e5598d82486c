import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: attempts on deliveries")
struct StoreContractAttempts {
    @Test("each other process that began counts once, until the attempts are forgotten", arguments: StoreBackend.available)
    func counts(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for _ in 0..<3 { #expect(try await store.beginAttempt(on: "a", by: "p0", at: noon) == 0) }
            for process in 1..<20 {
                for _ in 0..<2 { #expect(try await store.beginAttempt(on: "a", by: "p\(process)", at: noon) == process) }
            }
            // Others that are near in the order of keys.
            for other in ["", "A", "a\u{0}", "aa", "b"] { #expect(try await store.beginAttempt(on: other, by: "p0", at: noon) == 0) }
            try await store.forgetAttempts(on: "a")
            try await store.forgetAttempts(on: "a")
            #expect(try await store.beginAttempt(on: "a", by: "p7", at: noon) == 0)
            for other in ["", "A", "a\u{0}", "aa", "b"] { #expect(try await store.beginAttempt(on: other, by: "p1", at: noon) == 1) }
        }
    }
}
