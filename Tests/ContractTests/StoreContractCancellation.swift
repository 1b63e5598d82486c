import AnalyticsCore
import AnalyticsEmbedded
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsMongoDB

@Suite("Store contract: questions that are stopped", .timeLimit(.minutes(3)))
struct StoreContractCancellation {
    private static let count = 60_000

    /// No event matches, so all are read; a path with a number is the slowest to compare.
    private static let filter = Selection(
        project: "p", data: [DataCondition(path: ["items", "0", "a"], values: (0..<20).map { "none-\($0)" })])

    @Test("a listing, or a scan, that is cancelled ends on the server too", arguments: StoreBackend.available)
    func cancelled(backend: StoreBackend) async throws {
        try await withStores(backend) { store, questions async throws in
            for start in stride(from: 0, to: Self.count, by: 10_000) {
                try await store.add(
                    (start..<start + 10_000).map { index in
                        stored("e\(index)", at: noon + .milliseconds(index), data: #"{"items":[{"a":"x\#(index)","b":[1,2,3]}]}"#)
                    })
            }
            try await expectStopped { try await questions.ids(Self.filter, limit: 10) }
            #expect(try await questions.event(project: "p", id: "e7") != nil, "and the store goes on")
            let hour = [noon..<noon + .seconds(3600)]
            try await expectStopped { try await questions.scan(Self.filter, in: hour).map(\.id) }
            #expect(try await questions.event(project: "p", id: "e7") != nil)
            // While events come.
            let (all, count) = (Selection(project: "p"), Self.count)
            let (started, start) = AsyncStream.makeStream(of: Void.self)
            let task = TaskBox()
            let scanning = Task {
                for await _ in started {}
                _ = try await questions.scanEvents(all, in: hour, reading: [], into: Cancelling(left: 1_500, task: task))
            }
            task.set(scanning)
            start.finish()
            let error = await #expect(throws: StoreError.self) { try await scanning.value }
            #expect(error?.code == .unavailable)
            #expect(try await questions.scan(all, in: hour).count == count)
        }
    }

    /// `body` finds nothing, and takes long.
    private func expectStopped(_ body: @escaping @Sendable () async throws -> [String]) async throws {
        let whole = ContinuousClock.now
        #expect(try await body() == [])
        let duration = ContinuousClock.now - whole
        // A busy machine may let one come to its end before it is cancelled, but not again and again.
        var attempts = 0
        try await eventually("all are stopped") {
            attempts += 1
            let tasks = (0..<8).map { _ in Task { try await body() } }
            try await Task.sleep(for: duration / 20)
            let start = ContinuousClock.now
            for task in tasks { task.cancel() }
            var stopped = 0
            for task in tasks {
                guard case .failure(let error) = await task.result else { continue }
                #expect((error as? StoreError)?.code == .unavailable)
                stopped += 1
            }
            // Two at a time on two cores: to their ends, eight of them take four times as long as one.
            return stopped == tasks.count && ContinuousClock.now - start < duration * 2 || attempts > 20
        }
        #expect(attempts <= 20, "one takes \(duration)")
    }

    @Test("an operation whose caller's deadline has passed does not begin", arguments: StoreBackend.available)
    func deadline(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let selection = Selection(project: "p")
            await #expect(throws: StoreError.self) {
                try await Deadline.within(.zero) { () async throws in _ = try await store.insert([stored("late")]) }
            }
            await #expect(throws: StoreError.self) {
                // A longer deadline inside does not lengthen the one around it.
                try await Deadline.within(.zero) { () async throws in
                    try await Deadline.within(.seconds(60)) { () async throws in _ = try await store.insert([stored("late")]) }
                }
            }
            await #expect(throws: StoreError.self) {
                try await Deadline.within(.zero) { () async throws in _ = try await store.events(matching: selection, after: nil, limit: 1)
                }
            }
            await #expect(throws: StoreError.self) {
                try await Deadline.within(.zero) { () async throws in _ = try await store.scan(selection, in: [noon..<noon + .seconds(1)]) }
            }
            #expect(try await Deadline.within(.seconds(60)) { () async throws in try await store.ids(selection) } == [])
        }
    }

    /// A store, and one beside it over the same events that only answers questions.
    private func withStores(_ backend: StoreBackend, _ body: (any Store, any Store) async throws -> Void) async throws {
        switch backend {
        case .memory:
            let store = MemoryStore()
            try await body(store, store)
        case .sqlite:
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("store-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: folder) }
            let stores = try (0..<2).map { _ in try SQLiteStore(path: folder.appendingPathComponent("events.sqlite").path, logger: quiet) }
            try await stores[0].prepare()
            try await body(stores[0], stores[1])
        case .mongodb:
            let uri = try #require(ProcessInfo.processInfo.environment["TEST_MONGODB_URI"])
            let database = "test_" + UUID().uuidString.prefix(18)
            let store = try MongoStore(uri: uri, database: database, logger: quiet)
            let questions = try MongoStore(uri: uri, database: database, poolSize: 2, questionTimeout: .seconds(60), logger: quiet)
            let result: Result<Void, any Error>
            do {
                try await store.prepare()
                result = .success(try await body(store, questions))
            } catch {
                result = .failure(error)
            }
            try? await store.dropDatabase()
            await questions.shutdown()
            await store.shutdown()
            try result.get()
        }
    }
}

private final class TaskBox: Sendable {
    private let task = Mutex<Task<Void, any Error>?>(nil)

    func set(_ task: Task<Void, any Error>) { self.task.withLock { $0 = task } }
    func cancel() { task.withLock { $0 }?.cancel() }
}

/// Cancels a task with one of its events, and takes more.
private struct Cancelling: EventScanReducer {
    var left: Int
    let task: TaskBox

    mutating func add(_ event: ScannedEvent) -> Bool {
        left -= 1
        if left == 0 { task.cancel() }
        return true
    }
}
