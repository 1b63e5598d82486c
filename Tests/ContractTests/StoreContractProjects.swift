import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: records of projects, watermarks and deletion")
struct StoreContractProjects {
    private static let day = Duration.seconds(86_400)

    @Test("the first retention stays, a set one replaces it, each project by itself", arguments: StoreBackend.available)
    func retention(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            #expect(try await store.projectRecords() == [])
            #expect(try await store.newestRecords(of: ["p", "q"]) == [])
            let names: [ProjectID] = ["p", "pp", "p-", "p_q", "0", "where"]
            for (index, name) in names.enumerated() {
                try await store.createRecord(of: name, retentionDays: index, at: noon)
                try await store.createRecord(of: name, retentionDays: 99, at: noon + Self.day)
            }
            for (index, name) in names.enumerated() {
                let expected = ProjectRecord(project: name, retentionDays: index, changedAt: noon)
                #expect(try await store.newestRecords(of: [name, "unknown"]) == [expected])
            }
            #expect(try await Set(store.projectRecords().map(\.project)) == Set(names))

            try await store.setRetention(of: "p", days: 36_500, at: noon + Self.day)
            try await store.setRetention(of: "new", days: 0, at: noon)
            try await store.createRecord(of: "new", retentionDays: 5, at: noon + Self.day)
            let changed = ProjectRecord(project: "p", retentionDays: 36_500, changedAt: noon + Self.day)
            #expect(try await store.newestRecords(of: ["p"]) == [changed])
            #expect(try await store.newestRecords(of: ["new"]).map(\.retentionDays) == [0])
        }
    }

    @Test("a time zone is kept, changes nothing else, and the last one stands", arguments: StoreBackend.available)
    func timeZones(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.createRecord(of: "p", retentionDays: 30, at: noon)
            for name in ["Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+12"] {
                let zone = try #require(ZoneName(name))
                try await store.setTimeZone(of: "p", to: zone)
                try await store.setTimeZone(of: "p-\(name.utf8.count)", to: zone)
                let expected = ProjectRecord(project: "p", retentionDays: 30, changedAt: noon, timeZone: zone)
                #expect(try await store.newestRecords(of: ["p"]) == [expected])
            }
            #expect(try await store.projectRecords().count == 4)
            // The first retention is still to be written.
            let other: ProjectID = "p-13"
            try await store.createRecord(of: other, retentionDays: 7, at: noon)
            let expected = ProjectRecord(project: other, retentionDays: 7, changedAt: noon, timeZone: ZoneName("Europe/Berlin"))
            #expect(try await store.newestRecords(of: [other]) == [expected])
        }
    }

    @Test("a project is created once, and not if a setting has made its record", arguments: StoreBackend.available)
    func creation(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            #expect(try await store.createProject("p", at: noon))
            #expect(try await store.createProject("p", at: noon + Self.day) == false)
            #expect(try await store.newestRecords(of: ["p"]) == [ProjectRecord(project: "p", createdAt: noon)])
            try await store.createRecord(of: "p", retentionDays: 30, at: noon)
            let expected = ProjectRecord(project: "p", retentionDays: 30, changedAt: noon, createdAt: noon)
            #expect(try await store.projectRecords() == [expected])
            try await store.setVisitorIds(of: "q", to: true)
            #expect(try await store.createProject("q", at: noon) == false)
            #expect(try await store.newestRecords(of: ["q"]) == [ProjectRecord(project: "q", hasVisitorIds: true)])
            for round in 0..<5 {
                let project: ProjectID = "race\(round)"
                let created = try await withThrowingTaskGroup(of: Bool.self) { group in
                    for _ in 0..<8 { group.addTask { try await store.createProject(project, at: noon) } }
                    return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                #expect(created == 1)
            }
        }
    }

    @Test("title, archive, origins and rates are kept, change nothing else, and the last ones stand", arguments: StoreBackend.available)
    func settings(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            var expected = ProjectRecord(project: "p", retentionDays: 30, changedAt: noon, closedBefore: noon, watermark: noon)
            try await store.createRecord(of: "p", retentionDays: 30, at: noon)
            try await store.raiseWatermark(of: "p", to: noon)
            func expectRecord(_ location: SourceLocation = #_sourceLocation) async throws {
                #expect(try await store.newestRecords(of: ["p"]) == [expected], sourceLocation: location)
                #expect(try await store.projectRecords() == [expected], sourceLocation: location)
            }
            let titles = [
                "The shop", "", "e\u{301} \u{E9}", "\u{0}a\u{0}", #"'"\"#, "$set",
                String(repeating: "t", count: ProjectRecord.longestTitle),
            ]
            for title in titles {
                try await store.setTitle(of: "p", to: title)
                expected.title = title
                try await expectRecord()
                #expect(try await bytes(store.newestRecords(of: ["p"]).first?.title) == bytes(title))
            }
            for time in [noon, nil, nil, noon + Self.day, noon] as [Timestamp?] {
                try await store.setArchived(of: "p", at: time)
                expected.archivedAt = time
                try await expectRecord()
            }
            let many = (0..<ProjectRecord.maximumOrigins).map { "https://\($0).example:8443" }
            for origins in [["https://shop.example"], [], ["null", #"a"b\c"#, "e\u{301}", "\u{0}"], many, many.reversed()] as [[String]] {
                try await store.setOrigins(of: "p", to: origins)
                expected.origins = origins
                try await expectRecord()
            }
            for (requests, events) in [(1, nil), (nil, 10_000_000), (nil, nil), (7, 8), (9, 1)] as [(Int?, Int?)] {
                expected.rates = ProjectRates(requestsPerSecond: requests, eventsPerSecond: events)
                try await store.setRates(of: "p", to: expected.rates)
                try await expectRecord()
            }
        }
    }

    @Test("each setting makes a record, and a setting that is removed leaves it", arguments: StoreBackend.available)
    func firstSettings(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.setTitle(of: "t", to: "title")
            try await store.setArchived(of: "a", at: noon)
            try await store.setArchived(of: "b", at: nil)
            try await store.setOrigins(of: "o", to: ["https://a.example"])
            try await store.setRates(of: "r", to: ProjectRates(requestsPerSecond: 5))
            try await store.setRates(of: "s", to: ProjectRates())
            let records = try await store.projectRecords().sorted { $0.project < $1.project }
            #expect(
                records == [
                    ProjectRecord(project: "a", archivedAt: noon), ProjectRecord(project: "b"),
                    ProjectRecord(project: "o", origins: ["https://a.example"]),
                    ProjectRecord(project: "r", rates: ProjectRates(requestsPerSecond: 5)), ProjectRecord(project: "s"),
                    ProjectRecord(project: "t", title: "title"),
                ])
        }
    }

    @Test("a first retention is written once, whoever is first", arguments: StoreBackend.available)
    func racingCreation(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for round in 0..<5 {
                let project: ProjectID = "p\(round)"
                let seen = try await withThrowingTaskGroup(of: Int?.self) { group in
                    for days in 1...8 {
                        group.addTask {
                            try await store.createRecord(of: project, retentionDays: days, at: noon)
                            return try await store.newestRecords(of: [project]).first?.retentionDays
                        }
                    }
                    return try await group.reduce(into: Set<Int?>()) { $0.insert($1) }
                }
                #expect(seen.count == 1 && seen.first.flatMap { $0 } != nil, "\(seen)")
            }
        }
    }

    @Test("a watermark only rises, closed time with it, and the retention stays", arguments: StoreBackend.available)
    func rising(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            func record() async throws -> ProjectRecord? { try await store.newestRecords(of: ["p"]).first }
            try await store.close("p", before: noon)
            #expect(try await record() == ProjectRecord(project: "p", closedBefore: noon))
            try await store.close("p", before: noon - Self.day)
            try await store.raiseWatermark(of: "p", to: noon - Self.day)
            #expect(try await record() == ProjectRecord(project: "p", closedBefore: noon, watermark: noon - Self.day))
            try await store.raiseWatermark(of: "p", to: noon + Self.day)
            try await store.raiseWatermark(of: "p", to: noon)
            try await store.close("p", before: noon)
            let expected = ProjectRecord(project: "p", closedBefore: noon + Self.day, watermark: noon + Self.day)
            #expect(try await record() == expected)
            try await store.createRecord(of: "p", retentionDays: 30, at: noon)
            try await store.setRetention(of: "p", days: 9, at: noon + .seconds(1))
            var kept = expected
            (kept.retentionDays, kept.changedAt) = (9, noon + .seconds(1))
            #expect(try await store.projectRecords() == [kept])
            // Before 1970, too.
            try await store.raiseWatermark(of: "old", to: Timestamp(milliseconds: -120_000))
            #expect(try await store.newestRecords(of: ["old"]).first?.watermark == Timestamp(milliseconds: -120_000))
        }
    }

    @Test("of racing raises the highest stays", arguments: StoreBackend.available)
    func racingRaises(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in (0..<60).shuffled() {
                    let time = noon + .seconds(index * 60)
                    group.addTask {
                        if index.isMultiple(of: 2) {
                            try await store.raiseWatermark(of: "p", to: time)
                        } else {
                            try await store.close("p", before: time)
                        }
                        // What was raised before this read is in it.
                        let record = try await store.newestRecords(of: ["p"]).first
                        #expect(record?.closedBefore ?? noon >= time)
                    }
                }
                try await group.waitForAll()
            }
            let record = try #require(try await store.projectRecords().first)
            #expect(record.watermark == noon + .seconds(58 * 60) && record.closedBefore == noon + .seconds(59 * 60))
        }
    }

    @Test("events below the watermark are deleted, oldest first, no more than asked for; buckets stay", arguments: StoreBackend.available)
    func deletion(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for project: ProjectID in ["p", "q", "pp"] {
                try await store.add((0..<10).map { stored("\($0)", project: project, at: noon + .milliseconds($0 * 10)) })
            }
            try await store.mark(.minute, [BucketMark(key: key(noon.minute), groups: StoreContractRollups.groups)])
            let bucket = try await store.rollup(.minute, key(noon.minute))
            #expect(try await store.deleteExpiredEvents(of: "p", limit: 5) == 0, "no watermark")
            try await store.close("p", before: noon + .seconds(60))
            #expect(try await store.deleteExpiredEvents(of: "p", limit: 5) == 0, "closed is not below the watermark")
            try await store.raiseWatermark(of: "p", to: noon + .milliseconds(70))
            #expect(try await store.deleteExpiredEvents(of: "p", limit: 3) == 3)
            #expect(try await store.ids(Selection(project: "p")) == ["9", "8", "7", "6", "5", "4", "3"])
            #expect(try await store.deleteExpiredEvents(of: "p", limit: 100) == 4)
            #expect(try await store.deleteExpiredEvents(of: "p", limit: 100) == 0)
            #expect(try await store.ids(Selection(project: "p")) == ["9", "8", "7"])
            #expect(try await store.event(project: "p", id: "1") == nil)
            #expect(try await store.ids(Selection(project: "q")).count == 10)
            #expect(try await store.ids(Selection(project: "pp")).count == 10)
            #expect(try await store.rollup(.minute, key(noon.minute)) == bucket)
            #expect(try await store.countEvents(project: "p", in: [noon..<noon + .seconds(60)]).map(\.groups.first?.count) == [3])
            #expect(try await store.insert([stored("0")]) == [.stored], "its id is free again")
        }
    }

    @Test("several delete at once: each event once, and nothing that is kept", arguments: StoreBackend.available)
    func racingDeletion(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<500).map { stored("\($0)", at: noon + .milliseconds($0)) })
            try await store.raiseWatermark(of: "p", to: noon + .milliseconds(400))
            let deleted = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        var total = 0
                        while try await !store.ids(Selection(project: "p", to: noon + .milliseconds(400)), limit: 1).isEmpty {
                            total += try await store.deleteExpiredEvents(of: "p", limit: 37)
                        }
                        return total
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(deleted == 400)
            #expect(try await store.ids(Selection(project: "p")).count == 100)
        }
    }

    @Test("unmarking leaves count and version, and a bucket that was marked again", arguments: StoreBackend.available)
    func unmarking(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.mark(.minute, [BucketMark(key: key(1), groups: StoreContractRollups.groups)])
            try await store.mark(.minute, [key(1), key(2), key(3)])
            let dirty = try await store.dirtyBuckets(.minute, after: nil, limit: 9)
            try await store.mark(.minute, [key(2)])
            try await store.unmark(.minute, dirty.filter { $0.key != key(3) })
            try await store.unmark(.minute, [])
            let groups = StoreContractRollups.groups
            #expect(try await store.rollup(.minute, key(1)) == Rollup(key: key(1), version: 2, done: 1, dirty: false, groups: groups))
            #expect(try await store.rollup(.minute, key(2)) == Rollup(key: key(2), version: 2, done: 0, dirty: true, groups: []))
            #expect(try await store.dirtyBuckets(.minute, after: nil, limit: 9).map(\.key) == [key(2), key(3)])

            // A count that was on its way is newer than what is there, and is taken.
            let newer = [RollupGroup(type: "t", source: "s", count: 9)]
            #expect(try await store.roll(.minute, [RolledBucket(key: key(1), version: 2, groups: newer)]) == 1)
            #expect(try await store.rollup(.minute, key(1)) == Rollup(key: key(1), version: 2, done: 2, dirty: false, groups: newer))
        }
    }
}
