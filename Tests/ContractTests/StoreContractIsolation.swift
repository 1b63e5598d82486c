import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: nothing of one project is seen in another")
struct StoreContractIsolation {
    /// Names that a careless key would run together.
    static let neighbours: [ProjectID] = ["p", "pp", "p-1", "p_1", "p1", "p-"]

    @Test("events, listings, reports and counts", arguments: StoreBackend.available)
    func events(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for (index, project) in Self.neighbours.enumerated() {
                let event = stored(
                    "same", project: project, type: "t\(index)", userId: "u", anonymousId: "a", correlationId: "c", ingestID: "r\(index)")
                #expect(try await store.insert([event]) == [.stored])
                try await store.add([report(project: project, stored: index)])
            }
            for (index, project) in Self.neighbours.enumerated() {
                #expect(try await store.event(project: project, id: "same")?.event.type == "t\(index)")
                #expect(try await store.reports(project: project, request: "r") == [report(project: project, stored: index)])
                let filters = [
                    Selection(project: project), Selection(project: project, userIds: ["u"]),
                    Selection(project: project, anonymousIds: ["a"]),
                    Selection(project: project, correlationIds: ["c"]), Selection(project: project, types: ["t0", "t1", "t\(index)"]),
                ]
                for filter in filters.dropLast() {
                    #expect(try await store.events(matching: filter, after: nil, limit: 9).map(\.event.type) == ["t\(index)"])
                }
                #expect(try await store.events(matching: filters[3], after: nil, limit: 9).map(\.event.project) == [project])
                let counted = try await store.countEvents(project: project, in: [noon..<noon + .seconds(60)])
                #expect(counted.map(\.groups) == [[RollupGroup(type: "t\(index)", source: "web", count: 1)]])
            }
            #expect(try await store.event(project: "q", id: "same") == nil)
            #expect(try await store.ids(Selection(project: "q")) == [])
        }
    }

    @Test("keys and settings", arguments: StoreBackend.available)
    func access(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for (index, project) in Self.neighbours.enumerated() {
                try await store.createKey(storedKey(index, of: project))
                _ = try await store.createProject(project, at: noon + .seconds(index))
                try await store.setTitle(of: project, to: "\(index)")
                try await store.setOrigins(of: project, to: ["https://\(index).example"])
                try await store.setRates(of: project, to: ProjectRates(eventsPerSecond: index + 1))
            }
            try await store.setArchived(of: "p", at: noon)
            try await store.revokeKey(storedKey(0).id, at: noon)
            for (index, project) in Self.neighbours.enumerated() {
                var key = storedKey(index, of: project)
                key.revokedAt = project == "p" ? noon : nil
                #expect(try await store.keys(of: project) == [key])
                let record = ProjectRecord(
                    project: project, title: "\(index)", createdAt: noon + .seconds(index), archivedAt: key.revokedAt,
                    origins: ["https://\(index).example"], rates: ProjectRates(eventsPerSecond: index + 1))
                #expect(try await store.newestRecords(of: [project]) == [record])
            }
            #expect(try await store.keys(of: "q") == [])
            #expect(try await store.newestRecords(of: ["q"]) == [])
        }
    }

    @Test("marks, rolls, rollups, generations and extents", arguments: StoreBackend.available)
    func rollups(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for (index, project) in Self.neighbours.enumerated() {
                for _ in 0...index { try await store.mark(.minute, [key(11, project)]) }
                try await store.bumpGenerations([key(11, project)])
            }
            var generations: Set<Int64> = []
            let groups = [RollupGroup(type: "t", source: "s", count: 1)]
            #expect(try await store.roll(.minute, [RolledBucket(key: key(11, "p"), version: 1, groups: groups)]) == 1)
            for (index, project) in Self.neighbours.enumerated() {
                let rollups = try await store.rollups(.minute, project: project, in: [0..<100])
                #expect(rollups.map(\.version) == [Int64(index) + 1])
                #expect(rollups.map(\.groups) == [project == "p" ? groups : []])
                generations.insert(try await store.generation(project: project, days: 0..<100))
                #expect(try await store.extent(project: project) != nil)
            }
            #expect(generations.count == Self.neighbours.count)
            #expect(try await store.rollups(.minute, project: "q", in: [0..<100]) == [])
            #expect(try await store.generation(project: "q", days: 0..<100) == 0)
            #expect(try await store.extent(project: "q") == nil)
            #expect(try await Set(store.projects()) == Set(Self.neighbours))
        }
    }
}
