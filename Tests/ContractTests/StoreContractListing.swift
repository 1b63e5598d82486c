import AnalyticsCore
import TestSupport
import Testing

@Suite("Store contract: listing")
struct StoreContractListing {
    @Test("newest first, ties by id, largest bytes first", arguments: StoreBackend.available)
    func order(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            // In UTF-16 😀 would come before ～, and by any locale "a" before "B".
            let tied = ["B", "a", "z", "é", "～", "😀"]
            try await store.add(tied.shuffled().map { stored($0) })
            try await store.add([stored("newer", at: noon + .milliseconds(1)), stored("older", at: noon - .milliseconds(1))])
            #expect(try await store.ids(Selection(project: "p")) == ["newer"] + tied.reversed() + ["older"])
        }
    }

    @Test("pages neither skip nor repeat, ties included, at any page size", arguments: StoreBackend.available)
    func pages(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<60).map { stored("id\($0)", at: noon + .milliseconds($0 / 7)) })
            let all = try await store.ids(Selection(project: "p"))
            #expect(all.count == 60)
            for limit in [1, 4, 7, 59, 60, 61] {
                #expect(try await store.ids(Selection(project: "p"), pagesOf: limit) == all)
            }
        }
    }

    @Test("a page goes on where the last one ended while others arrive", arguments: StoreBackend.available)
    func arriving(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<10).map { stored("id\($0)", at: noon + .milliseconds($0)) })
            let filter = Selection(project: "p")
            #expect(try await store.ids(filter, limit: 3) == ["id9", "id8", "id7"])
            try await store.add([stored("new", at: noon + .milliseconds(50)), stored("id70", at: noon + .milliseconds(7))])
            let position = EventPosition(timestamp: noon + .milliseconds(7), id: "id7")
            #expect(try await store.ids(filter, after: position, limit: 3) == ["id6", "id5", "id4"])
        }
    }

    @Test("a position need not be an event's", arguments: StoreBackend.available)
    func positions(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add([
                stored("b"), stored("d"), stored("later", at: noon + .seconds(1)), stored("earlier", at: noon - .seconds(1)),
            ])
            let filter = Selection(project: "p")
            #expect(try await store.ids(filter, after: EventPosition(timestamp: noon, id: "c")) == ["b", "earlier"])
            #expect(try await store.ids(filter, after: EventPosition(timestamp: noon, id: "d")) == ["b", "earlier"])
            #expect(try await store.ids(filter, after: EventPosition(timestamp: noon, id: "")) == ["earlier"])
            #expect(try await store.ids(filter, after: EventPosition(timestamp: .latest, id: "x")) == ["later", "d", "b", "earlier"])
            #expect(try await store.ids(filter, after: EventPosition(timestamp: .earliest, id: "x")) == [])
        }
    }

    @Test("a listing ends once its events take the bytes that it may, after one at the least", arguments: StoreBackend.available)
    func bytes(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            // All at one moment but the oldest two, so that a position lies inside of one.
            let events = (0..<20).map { index in
                let data = "\"" + String(repeating: "x", count: index.isMultiple(of: 3) ? 10 : 40_000) + "\""
                return stored(index < 10 ? "0\(index)" : "\(index)", at: index < 2 ? noon - .seconds(1) : noon, data: data)
            }
            try await store.add(events)
            let newestFirst = Array(events.reversed())
            for limit in [0, 1, 1_000, 40_000, 41_000, 90_000, 200_000, .max] {
                for start in [nil, 0, 3, 16, 17, 18] as [Int?] {
                    var (expected, bytes) = ([StoredEvent](), 0)
                    for event in newestFirst[(start.map { $0 + 1 } ?? 0)...] where expected.isEmpty || bytes < limit {
                        expected.append(event)
                        bytes += event.size
                    }
                    let position = start.map { EventPosition(timestamp: newestFirst[$0].event.timestamp, id: newestFirst[$0].event.id) }
                    let found = try await store.events(matching: Selection(project: "p"), after: position, limit: 100, byteLimit: limit)
                    #expect(found.map(\.event.id) == expected.map(\.event.id), "\(limit) bytes after \(start ?? -1)")
                }
            }
            #expect(try await store.events(matching: Selection(project: "p"), after: nil, limit: 0, byteLimit: 1_000) == [])
            #expect(try await store.events(matching: Selection(project: "p"), after: nil, limit: 2, byteLimit: .max).count == 2)
        }
    }

    @Test("from is inside the range, to is outside", arguments: StoreBackend.available)
    func borders(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add((0..<5).map { stored("\($0)", at: noon + .milliseconds($0)) })
            func ids(_ from: Int?, _ to: Int?) async throws -> [String] {
                try await store.ids(
                    Selection(project: "p", from: from.map { noon + .milliseconds($0) }, to: to.map { noon + .milliseconds($0) }))
            }
            #expect(try await ids(1, 3) == ["2", "1"])
            #expect(try await ids(3, nil) == ["4", "3"])
            #expect(try await ids(nil, 1) == ["0"])
            #expect(try await ids(2, 2) == [])
            #expect(try await ids(3, 1) == [])
        }
    }

    /// Eight events: each of two types, sources and users, in this order.
    static let cube = (0..<8).map { index in
        stored(
            "\(index)", type: index & 1 == 0 ? "t0" : "t1", source: index & 2 == 0 ? "s0" : "s1",
            at: noon + .milliseconds(index), userId: index & 4 == 0 ? "u0" : nil, anonymousId: index & 1 == 0 ? "u0" : "a\(index)",
            correlationId: index < 2 ? "c0" : "c\(index)"
        )
    }

    static let filters: [(Selection, [String])] = [
        (Selection(project: "p", types: ["t0"]), ["6", "4", "2", "0"]),
        (Selection(project: "p", types: ["t0", "t1"]), ["7", "6", "5", "4", "3", "2", "1", "0"]),
        (Selection(project: "p", types: ["t1", "none"]), ["7", "5", "3", "1"]),
        (Selection(project: "p", types: ["none"]), []),
        (Selection(project: "p", sources: ["s1"]), ["7", "6", "3", "2"]),
        (Selection(project: "p", userIds: ["u0"]), ["3", "2", "1", "0"]),
        (Selection(project: "p", anonymousIds: ["u0"]), ["6", "4", "2", "0"]),
        (Selection(project: "p", userIds: ["u0"], anonymousIds: ["u0", "a1", "a5"]), ["2", "1", "0"]),
        (Selection(project: "p", anonymousIds: ["u0", "a7"], from: noon + .milliseconds(2), to: noon + .milliseconds(6)), ["4", "2"]),
        (Selection(project: "p", correlationIds: ["c0", "c5"]), ["5", "1", "0"]),
        (Selection(project: "p", types: ["t0"], sources: ["s1"]), ["6", "2"]),
        (Selection(project: "p", types: ["t0", "t1"], sources: ["s0", "s1"], userIds: ["u0", "u1"]), ["3", "2", "1", "0"]),
        (Selection(project: "p", types: ["t0"], userIds: ["u0"], correlationIds: ["c0"]), ["0"]),
        (Selection(project: "p", types: ["t1"], from: noon + .milliseconds(3), to: noon + .milliseconds(7)), ["5", "3"]),
        (Selection(project: "p", userIds: ["u0"], from: noon + .milliseconds(1), to: noon + .milliseconds(3)), ["2", "1"]),
        (Selection(project: "p", types: ["$ne"]), []),
        (Selection(project: "p", types: [".*"], sources: ["s%"]), []),
        (Selection(project: "p", types: ["T0"]), []),
    ]

    @Test("filters hold together, any value of each", arguments: StoreBackend.available)
    func filters(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await store.add(Self.cube)
            for (filter, ids) in Self.filters {
                #expect(try await store.ids(filter) == ids, "\(filter)")
                #expect(try await store.ids(filter, pagesOf: 1) == ids, "\(filter)")
            }
        }
    }
}
