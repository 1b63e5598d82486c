import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: deadlines")
struct StoreContractDeadlines {
    @Test("an operation whose caller's deadline has passed is not done, and says so", arguments: StoreBackend.available)
    func passed(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for later in [Duration.zero, .seconds(60)] {
                let error = await #expect(throws: StoreError.self) {
                    // A longer deadline inside does not lengthen the one around it.
                    try await Deadline.within(.zero) { () async throws in
                        try await Deadline.within(later) { () async throws in _ = try await store.insert([stored("late")]) }
                    }
                }
                #expect(error?.code == .unavailable)
            }
            await #expect(throws: StoreError.self) {
                try await Deadline.within(.zero) { () async throws in _ = try await store.event(project: "p", id: "late") }
            }
            #expect(try await store.event(project: "p", id: "late") == nil)
        }
    }

    @Test("an operation that is in time is done", arguments: StoreBackend.available)
    func inTime(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await Deadline.within(.seconds(60)) { () async throws in
                #expect(try await store.insert([stored("a")]) == [.stored])
                #expect(try await store.event(project: "p", id: "a") != nil)
            }
        }
    }
}
