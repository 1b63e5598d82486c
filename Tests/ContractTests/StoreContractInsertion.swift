import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: insertion")
struct StoreContractInsertion {
    @Test("a new event is stored", arguments: StoreBackend.available)
    func new(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            #expect(try await store.insert([stored("a"), stored("b")]) == [.stored, .stored])
            #expect(try await store.event(project: "p", id: "a") == stored("a"))
        }
    }

    @Test("nothing is inserted for nothing", arguments: StoreBackend.available)
    func nothing(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            #expect(try await store.insert([]) == [])
            #expect(try await store.events(matching: Selection(project: "p"), after: nil, limit: 10) == [])
        }
    }

    @Test("an id that is taken is a duplicate, a redelivery or a conflict, and what is stored stays", arguments: StoreBackend.available)
    func taken(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let first = stored("a", ingestID: "r1", fingerprint: 7)
            try await store.add([first])
            let later = noon + .seconds(3_600)
            #expect(try await store.insert([stored("a", at: later, ingestID: "r2", fingerprint: 7)]) == [.duplicate(heldAt: noon)])
            #expect(try await store.insert([first]) == [.redelivered])
            #expect(try await store.insert([stored("a", type: "other", ingestID: "r3", fingerprint: 8)]) == [.conflict(heldAt: noon)])
            #expect(try await store.event(project: "p", id: "a") == first)
            #expect(try await store.ids(Selection(project: "p")) == ["a"])
        }
    }

    @Test("duplicates inside one call are settled in their order", arguments: StoreBackend.available)
    func insideOneCall(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let first = stored("a", ingestID: "r1", fingerprint: 7)
            let outcomes = try await store.insert([
                first, stored("b"), stored("a", ingestID: "r2", fingerprint: 7), stored("a", ingestID: "r3", fingerprint: 8), first,
            ])
            #expect(outcomes == [.stored, .stored, .duplicate(heldAt: noon), .conflict(heldAt: noon), .redelivered])
            #expect(try await store.event(project: "p", id: "a") == first)
        }
    }

    @Test("a call may mix new events with every kind of old one", arguments: StoreBackend.available)
    func mixed(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<4).map { stored("old\($0)", fingerprint: 1) })
            let outcomes = try await store.insert([
                stored("new0"), stored("old0"), stored("old1", ingestID: "again"), stored("old2", ingestID: "again", fingerprint: 2),
                stored("new1"), stored("old0", project: "q"),
            ])
            #expect(outcomes == [.stored, .redelivered, .duplicate(heldAt: noon), .conflict(heldAt: noon), .stored, .stored])
        }
    }

    @Test("a large call is one call, and repeating it changes nothing", arguments: StoreBackend.available)
    func large(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let events = (0..<5000).map { stored("id-\($0)", at: noon + .milliseconds($0)) }
            #expect(try await store.insert(events) == Array(repeating: .stored, count: 5000))
            #expect(try await store.insert(events) == Array(repeating: .redelivered, count: 5000))
            let counted = try await store.countEvents(project: "p", in: [noon..<noon + .seconds(60)])
            #expect(counted == [MinuteCounts(minute: noon.minute, groups: [RollupGroup(type: "view", source: "web", count: 5000)])])
        }
    }

    @Test("ids and receipts are compared byte by byte", arguments: StoreBackend.available)
    func bytewise(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let ids = ["é", "e\u{301}", "E", "e", "$e", "e.e", "{\"$ne\":1}", "id with spaces", "😀"]
            #expect(try await store.insert(ids.map { stored($0) }) == Array(repeating: .stored, count: ids.count))
            for id in ids {
                #expect(try await bytes(store.event(project: "p", id: id)?.event.id) == bytes(id))
            }
            #expect(try await store.event(project: "p", id: "É") == nil)
            #expect(
                try await store.insert([stored("r", ingestID: "é"), stored("r", ingestID: "e\u{301}")]).last == .duplicate(heldAt: noon))
        }
    }

    @Test("reports of a request's deliveries are kept, the first of each", arguments: StoreBackend.available)
    func reports(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let first = report(stored: 90, duplicates: 9, refused: 1)
            let second = report(first: 100, stored: 7)
            try await store.add([second])
            try await store.add([first, report(request: "other", stored: 5)])
            try await store.add([report(stored: 1), second])
            try await store.add([])
            #expect(try await store.reports(project: "p", request: "r") == [first, second])
            #expect(try await store.reports(project: "p", request: "R") == [])
        }
    }

    @Test("tasks that insert the same ids at once store each of them once", arguments: StoreBackend.available)
    func racing(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let outcomes = try await withThrowingTaskGroup(of: [(String, InsertOutcome)].self) { group in
                for task in 0..<8 {
                    group.addTask {
                        var outcomes: [(String, InsertOutcome)] = []
                        for start in 0..<10 {
                            let events = (0..<60).map { stored("id\(start * 40 + $0)", ingestID: "\(task)") }
                            outcomes += zip(events.map(\.event.id), try await store.insert(events.shuffled(seed: task))).map { $0 }
                        }
                        return outcomes
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            let ids = try await store.ids(Selection(project: "p"), pagesOf: 100)
            #expect(ids.count == 420 && Set(ids).count == 420)
            #expect(outcomes.count { $0.1 == .stored } == 420)
            #expect(outcomes.allSatisfy { [.stored, .duplicate(heldAt: noon), .redelivered].contains($0.1) })
        }
    }
}

extension Array {
    /// Another order for each seed, the same in every run.
    fileprivate func shuffled(seed: Int) -> [Element] {
        let shift = seed * 7 % Swift.max(count, 1)
        let rotated = Array(self[shift...] + self[..<shift])
        return seed.isMultiple(of: 2) ? rotated : rotated.reversed()
    }
}
