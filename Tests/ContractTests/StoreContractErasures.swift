import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: erasures", .timeLimit(.minutes(3)))
struct StoreContractErasures {
    private func erasure(_ id: String, _ revision: Int64, _ bytes: [UInt8] = [1], of project: ProjectID = "p") -> StoredErasure {
        StoredErasure(project: project, id: id, revision: revision, bytes: bytes)
    }

    @Test("an erasure is written in the place of the one that was read, or not at all", arguments: StoreBackend.available)
    func records(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            #expect(try await store.erasures(of: "p") == [])
            #expect(try await store.writeErasure(erasure("b", 1, []), replacing: 0))
            #expect(try await !store.writeErasure(erasure("b", 1, [9]), replacing: 0))
            #expect(try await !store.writeErasure(erasure("b", 3, [9]), replacing: 2))
            #expect(try await !store.writeErasure(erasure("c", 2, [9]), replacing: 1))
            let large = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0) }
            #expect(try await store.writeErasure(erasure("b", 2, large), replacing: 1))
            #expect(try await !store.writeErasure(erasure("b", 2, [9]), replacing: 1))
            #expect(try await store.writeErasure(erasure("a\u{301}", 1), replacing: 0))
            #expect(try await store.writeErasure(erasure("\u{E1}", 1), replacing: 0))
            #expect(try await store.writeErasure(erasure("b", 1, [7], of: "q"), replacing: 0))
            let expected = [erasure("a\u{301}", 1), erasure("b", 2, large), erasure("\u{E1}", 1)]
            let stored = try await store.erasures(of: "p")
            #expect(stored.map { bytes($0.id) } == expected.map { bytes($0.id) } && stored == expected)
            #expect(try await store.newestErasures(of: "p") == expected)
            #expect(try await store.newestErasures(of: "q") == [erasure("b", 1, [7], of: "q")])
            #expect(try await store.erasures(of: "pp") == [])
        }
    }

    @Test("of many that write an erasure at once one succeeds", arguments: StoreBackend.available)
    func oneWriter(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for revision in 0..<5 as Range<Int64> {
                let written: [Int] = try await withThrowingTaskGroup(of: Int.self) { group in
                    for writer in 0..<8 as Range<UInt8> {
                        group.addTask {
                            try await store.writeErasure(erasure("a", revision + 1, [writer]), replacing: revision) ? Int(writer) : -1
                        }
                    }
                    return try await group.reduce(into: []) { if $1 >= 0 { $0.append($1) } }
                }
                #expect(written.count == 1)
                #expect(try await store.newestErasures(of: "p").map(\.bytes) == written.map { [UInt8($0)] })
            }
        }
    }

    @Test("an announcement raises the project's number, and changes nothing else", arguments: StoreBackend.available)
    func announcements(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.announceErasure(of: "new")
            #expect(try await store.newestRecords(of: ["new"]) == [ProjectRecord(project: "new", erasures: 1)])
            try await store.createRecord(of: "p", retentionDays: 30, at: noon)
            try await store.raiseWatermark(of: "p", to: noon)
            var expected = ProjectRecord(project: "p", retentionDays: 30, changedAt: noon, closedBefore: noon, watermark: noon)
            #expect(try await store.newestRecords(of: ["p"]) == [expected])
            for _ in 0..<3 { try await store.announceErasure(of: "p") }
            expected.erasures = 3
            #expect(try await store.newestRecords(of: ["p"]) == [expected])
            #expect(try await store.projectRecords().first { $0.project == "p" } == expected)
        }
    }

    @Test("events are removed by id and ingest id, and their ids are free again", arguments: StoreBackend.available)
    func removal(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let odd = "e\u{301} \u{1F600}"
            try await store.add([
                stored("a"), stored("b"), stored(odd, ingestID: "r\u{E9}:1"), stored("a", project: "q"), stored("c", ingestID: "r:1"),
            ])
            #expect(try await store.remove([]) == 0)
            let others = [
                stored("a", ingestID: "other").event, stored("unknown").event, stored("b", project: "q").event,
                stored("\u{E9} \u{1F600}", ingestID: "r\u{E9}:1").event, stored(odd, ingestID: "re\u{301}:1").event,
            ]
            #expect(try await store.remove(others) == 0)
            #expect(try await store.remove([stored("a").event, stored(odd, ingestID: "r\u{E9}:1").event, stored("a").event]) == 2)
            #expect(try await store.ids(Selection(project: "p")) == ["c", "b"])
            #expect(try await store.ids(Selection(project: "q")) == ["a"])
            #expect(try await store.remove([stored("a").event]) == 0)
            #expect(try await store.insert([stored("a", ingestID: "later")]) == [.stored])
            // One that takes effect late.
            #expect(try await store.remove([stored("a").event]) == 0)
            try await store.overwriteDeleted()
            #expect(try await store.ids(Selection(project: "p")) == ["c", "b", "a"])
        }
    }

    @Test("many are removed at once, by several", arguments: StoreBackend.available)
    func racingRemoval(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let events = (0..<1_200).map { stored("\($0)", at: noon + .milliseconds($0)) }
            try await store.add(events)
            let removed = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<3 { group.addTask { try await store.remove(events.prefix(1_100).map(\.event)) } }
                return try await group.reduce(0, +)
            }
            #expect(removed == 1_100)
            #expect(try await store.ids(Selection(project: "p")).count == 100)
        }
    }

    @Test("reports say what was erased", arguments: StoreBackend.available)
    func reports(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            var report = report(stored: 2, duplicates: 1)
            report.erased = 3
            try await store.add([report])
            #expect(try await store.reports(project: "p", request: "r") == [report])
        }
    }
}
