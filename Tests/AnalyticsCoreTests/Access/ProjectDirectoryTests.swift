import ServiceLifecycle
import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(2)))
struct ProjectDirectoryTests {
    private let directory = ProjectDirectory()

    @Test func beforeTheFirstReadNothingIsArchivedLimitedOrAllowed() {
        #expect(!directory.isArchived("shop") && directory.rates(of: "shop") == ProjectRates())
        #expect(!directory.allows("https://shop.example", of: "shop") && !directory.allows("https://shop.example"))
    }

    @Test func aProjectHasWhatItsRecordSaysAndNoOthers() {
        directory.take([
            ProjectRecord(
                project: "shop", archivedAt: noon, origins: ["https://shop.example"], rates: ProjectRates(requestsPerSecond: 3)),
            ProjectRecord(project: "blog", origins: ["https://blog.example"]),
        ])
        #expect(directory.isArchived("shop") && !directory.isArchived("blog") && !directory.isArchived("none"))
        #expect(directory.rates(of: "shop").requestsPerSecond == 3 && directory.rates(of: "blog") == ProjectRates())
        #expect(directory.allows("https://shop.example", of: "shop") && !directory.allows("https://shop.example", of: "blog"))
        #expect(!directory.allows("https://blog.example", of: "none") && directory.allows("https://blog.example"))
        directory.take([ProjectRecord(project: "shop")])
        #expect(!directory.isArchived("shop") && !directory.allows("https://shop.example") && !directory.allows("https://blog.example"))
        #expect(directory.rates(of: "shop") == ProjectRates())
        directory.take([ProjectRecord(project: "shop"), ProjectRecord(project: "blog", rates: ProjectRates(eventsPerSecond: 5))])
        #expect(directory.rates(of: "shop") == ProjectRates() && directory.rates(of: "blog").eventsPerSecond == 5)
    }

    @Test(arguments: ["https://shop.example:80", "http://shop.example", "https://SHOP.example", "https://shop.example/", "null", ""])
    func anOriginIsAllowedAsItIsStored(origin: String) {
        directory.take([ProjectRecord(project: "shop", origins: ["https://shop.example"])])
        #expect(!directory.allows(origin, of: "shop") && !directory.allows(origin))
    }

    /// Swift takes the two for equal.
    @Test func originsAreComparedByTheirBytes() {
        directory.take([ProjectRecord(project: "shop", origins: ["https://caf\u{E9}.example"])])
        #expect(directory.allows("https://caf\u{E9}.example") && !directory.allows("https://cafe\u{301}.example"))
    }

    @Test func followsTheStore() async throws {
        let store = MemoryStore()
        _ = try await store.createProject("shop", at: noon)
        try await store.setArchived(of: "shop", at: noon)
        let clock = ManualClock()
        try await testGracefulShutdown { trigger in
            let follower = ProjectFollower(
                store: store, horizons: IngestHorizons(firstRetentionDays: 0),
                visitors: VisitorIdentifier(store: store, clock: clock.wall), directory: directory, elapsed: clock.elapsed, logger: quiet)
            let task = Task { try await follower.run() }
            try await eventually("the record is read") { directory.isArchived("shop") }
            try await store.setArchived(of: "shop", at: nil)
            try await eventually("it waits") { clock.sleeping.count == 1 }
            store.faults.down([.read])
            clock.advance(by: .seconds(20))
            try await eventually("it waits again") { clock.sleeping.count == 1 }
            #expect(directory.isArchived("shop"), "the last value")
            store.faults.down([])
            clock.advance(by: .seconds(20))
            try await eventually("the record is read again") { !directory.isArchived("shop") }
            trigger.triggerGracefulShutdown()
            #expect(await ends(task))
        }
    }
}
