import AnalyticsCore
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsMongoDB

/// Reads that belong together, on two primaries of a replica set of the suite's own.
@Suite("MongoDB store: reads after an election", .enabled(if: mongodProgram != nil), .serialized, .timeLimit(.minutes(5)))
struct MongoReadPointTests {
    private static let project: ProjectID = "lagging"
    private static let bucket = BucketKey(project: project, index: noon.minute)

    /// The insert and the mark are both on their way when a majority confirms them, as after an election between the two: the next
    /// primary then has both and has not heard that a majority has either. A mark that follows its confirmed insert tells that with it.
    @Test(
        "a minute whose version one primary told is counted by the next as it was then, although its majority lags",
        arguments: ["by the same store", "by the process's other store"])
    func versionCountRoll(counting: String) async throws {
        try await withStores { replicas, store, questions async throws in
            let counter = counting == "by the same store" ? store : questions
            try await replicas.tell("hold")
            async let outcomes = store.insert([stored("a", project: Self.project)])
            try await replicas.tell("present events")
            async let marked: Void = store.mark(.minute, [Self.bucket])
            try await replicas.tell("present minutes")
            // It sees the writes that are on their way: nothing later waits for these.
            _ = try await store.newestRecords(of: [Self.project])
            #expect(try await store.generation(project: Self.project, days: noon.day..<noon.day + 1) == 0)
            try await replicas.tell("release \(Self.project)")
            #expect(try await outcomes == [.stored])
            try await marked

            let version = try #require(try await store.dirtyBuckets(.minute, after: nil, limit: 1).first)
            try await replicas.tell("elect")
            async let counted = Self.count(by: counter)
            try await replicas.tell("asked 5")
            try await replicas.tell("heal")
            let groups = try await counted.first?.groups ?? []
            #expect(groups == [RollupGroup(type: "view", source: "web", count: 1)])

            let rolled = RolledBucket(key: version.key, version: version.version, groups: groups)
            #expect(try await untilAvailable { try await store.roll(.minute, [rolled]) } == 1)
            let rollup = try #require(try await store.rollup(.minute, Self.bucket))
            #expect(rollup.dirty || rollup.groups == groups && rollup.groups.count == 1, "a count that is too low would be final")
        }
    }

    @Test("a read that has to see what the primary has not ends in time as an outage, and passes after the next write")
    func ahead() async throws {
        try await withStores(timeout: .seconds(2)) { _, store, questions async throws in
            try await store.add([stored("a")])
            store.readPoint.skip(seconds: 60)
            let clock = ContinuousClock()
            let elapsed = await clock.measure {
                await #expect { try await Self.count(by: questions, tries: 1) } throws: { ($0 as? StoreError)?.code == .unavailable }
            }
            #expect(elapsed < .seconds(15))
            #expect(try await store.insert([stored("b")]) == [.stored])
            #expect(try await questions.ids(Selection(project: "p")) == ["b", "a"])
        }
    }

    private static func count(by store: MongoStore, tries: Int = .max) async throws -> [MinuteCounts] {
        let hour = Timestamp(minute: noon.minute)..<Timestamp(minute: noon.minute + 60)
        if tries == 1 { return try await store.countEvents(project: "p", in: [hour]) }
        return try await untilAvailable { try await store.countEvents(project: project, in: [hour]) }
    }

    private func withStores(
        timeout: Duration = .seconds(20), _ body: (Replicas, MongoStore, MongoStore) async throws -> Void
    ) async throws {
        try await Replicas.run { replicas in
            let store = try MongoStore(uri: replicas.uri, poolSize: 4, logger: quiet)
            let questions = try MongoStore(
                uri: replicas.uri, poolSize: 2, questionTimeout: timeout, readPoint: store.readPoint, logger: quiet)
            let result: Result<Void, any Error>
            do {
                try await untilAvailable { try await store.prepare() }
                result = .success(try await body(replicas, store, questions))
            } catch {
                result = .failure(error)
            }
            await questions.shutdown()
            await store.shutdown()
            try result.get()
        }
    }
}

extension ReadPoint {
    /// As if a write had been seen that is gone with its primary.
    fileprivate func skip(seconds: UInt64) {
        newest.withLock { newest in
            guard var times = newest else { return }
            times.operation += seconds << 32
            // The document begins with the time: its own length, a type, "clusterTime" and a zero, then the counter and the seconds.
            withUnsafeBytes(of: times.operation.littleEndian) { times.cluster.replaceSubrange(17..<25, with: $0) }
            newest = times
        }
    }
}
