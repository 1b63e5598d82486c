import AnalyticsCore
import TestSupport
import Testing

func smallRecord(
    _ id: String, kind: Record.Kind = .account, of owner: String = "", revision: Int64 = 1, expiresAt: Timestamp? = nil,
    body: [UInt8] = Array("{}".utf8)
) -> Record {
    Record(kind: kind, id: id, owner: owner, revision: revision, expiresAt: expiresAt, body: body)
}

@Suite("Store contract: small records", .timeLimit(.minutes(3)))
struct StoreContractRecords {
    private func expectWritten(_ records: [Record], to store: any Store) async throws {
        for record in records { #expect(try await store.write(record), "\(record.kind) \(record.id)") }
    }

    private func ids(
        _ store: any Store, _ kind: Record.Kind = .account, of owner: String? = nil, before id: String? = nil, limit: Int = 100
    ) async throws -> [String] {
        try await store.records(kind, of: owner, before: id, limit: limit).map(\.id)
    }

    // MARK: One record

    @Test("a record is kept as it was written, whatever its bytes", arguments: StoreBackend.available)
    func roundTrip(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let longest = String(repeating: "z", count: Record.longestID)
            let largest = (0..<Record.largestBody).map { UInt8(truncatingIfNeeded: $0) }
            let bodies: [[UInt8]] = [[], [0], [0, 0, 1], Array(0...255), [0xC3, 0x28], Array("\u{0}e\u{301}$where".utf8), largest]
            var records: [Record] = []
            for (number, body) in bodies.enumerated() {
                records.append(smallRecord("body-\(number)", kind: Record.Kind.allCases[number % 4], body: body))
            }
            for (number, time) in [Timestamp.earliest, Timestamp(milliseconds: -1), noon, .latest].enumerated() {
                records.append(smallRecord("time-\(number)", kind: .session, expiresAt: time))
            }
            for (number, owner) in ["", "-", "_", "default", "a-b_c", longest].enumerated() {
                records.append(smallRecord("owner-\(number)", kind: .audit, of: owner))
            }
            for id in ["0", "-", "--", longest] { records.append(smallRecord(id)) }
            try await expectWritten(records, to: store)
            for record in records { #expect(try await store.record(record.kind, record.id) == record, "\(record.kind) \(record.id)") }
            // A change writes every field, and may take the time away.
            for record in records {
                for (revision, time) in [(2, nil), (3, noon), (4, nil)] as [(Int64, Timestamp?)] {
                    let body: [UInt8] = revision == 3 ? record.body.reversed() : largest
                    let changed = smallRecord(
                        record.id, kind: record.kind, of: "new-\(revision)", revision: revision, expiresAt: time, body: body)
                    #expect(try await store.write(changed))
                    #expect(try await store.record(record.kind, record.id) == changed)
                }
            }
        }
    }

    @Test("kinds share no ids", arguments: StoreBackend.available)
    func kinds(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let records = Record.Kind.allCases.enumerated().map { smallRecord("same", kind: $1, of: "o", body: [UInt8($0)]) }
            try await expectWritten(records, to: store)
            for record in records {
                #expect(try await store.record(record.kind, "same") == record)
                #expect(try await store.records(record.kind, of: nil, before: nil, limit: 9) == [record])
                #expect(try await store.records(record.kind, of: "o", before: nil, limit: 9) == [record])
            }
            try await store.removeRecords(.session, ["same"])
            for record in records { #expect(try await store.record(record.kind, "same") == (record.kind == .session ? nil : record)) }
        }
    }

    @Test("no other text is the id of a record", arguments: StoreBackend.available)
    func unknown(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let record = smallRecord("abc-1", of: "o")
            #expect(try await store.record(.account, "abc-1") == nil)
            try await expectWritten([record], to: store)
            let others = ["", "\u{0}", "ABC-1", "abc-1\u{0}", "\u{0}abc-1", " abc-1", "abc-", "abc-1\u{301}", "abc%", "$ne", "' OR 1=1 --"]
            for other in others {
                #expect(try await store.record(.account, other) == nil, "\(other)")
                #expect(try await store.records(.account, of: other, before: nil, limit: 9) == [], "\(other)")
            }
            try await store.removeRecords(.account, others)
            #expect(try await store.records(.account, of: nil, before: nil, limit: 9) == [record])
        }
    }

    @Test("a record that is not valid is refused, and nothing is stored", arguments: StoreBackend.available)
    func invalid(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let long = String(repeating: "a", count: Record.longestID + 1)
            var invalid = ["", "A", "aB", "a_b", "a.b", "a b", "é", "e\u{301}", "\u{0}", "a\u{0}", "\u{212A}", long].map { smallRecord($0) }
            invalid += ["A", "é", "a.b", "a\u{0}", "a@b", long].map { smallRecord("a", of: $0) }
            for revision in [0, -1, .min] as [Int64] { invalid.append(smallRecord("a", revision: revision)) }
            for time in [.min, .max] as [Int64] { invalid.append(smallRecord("a", expiresAt: Timestamp(milliseconds: time))) }
            invalid.append(smallRecord("a", body: Array(repeating: 32, count: Record.largestBody + 1)))
            for record in invalid {
                let error = await #expect(throws: StoreError.self) { _ = try await store.write(record) }
                #expect(error?.code == .refused, "\(record.id) of \(record.owner)")
            }
            #expect(try await ids(store) == [])
        }
    }

    // MARK: Compare-and-set

    @Test("a record is written in the place of the revision before it, or not at all", arguments: StoreBackend.available)
    func revisions(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let first = smallRecord("a", of: "o", expiresAt: noon, body: [1])
            #expect(try await !store.write(smallRecord("a", revision: 2)), "there is none yet")
            #expect(try await store.record(.account, "a") == nil)
            #expect(try await store.write(first))
            var others = [smallRecord("a", of: "p", expiresAt: noon, body: [1]), smallRecord("a", of: "o", expiresAt: noon, body: [])]
            others += [smallRecord("a", of: "o", body: [1]), smallRecord("a", of: "o", expiresAt: noon + .milliseconds(1), body: [1])]
            for revision in [3, 4, .max] as [Int64] { others.append(smallRecord("a", revision: revision)) }
            for other in others { #expect(try await !store.write(other), "\(other)") }
            #expect(try await store.record(.account, "a") == first)

            let second = smallRecord("a", of: "q", revision: 2, body: [2])
            #expect(try await store.write(second))
            for other in [first, smallRecord("a", of: "q", revision: 2, body: [3]), smallRecord("a", revision: 4)] {
                #expect(try await !store.write(other), "\(other)")
            }
            #expect(try await store.record(.account, "a") == second)
            #expect(try await !store.write(smallRecord("b", revision: 3)), "another's revision counts for nothing")
        }
    }

    @Test("a write that is repeated is true and changes nothing", arguments: StoreBackend.available)
    func repeated(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for revision in 1...3 as ClosedRange<Int64> {
                let record = smallRecord(
                    "a", of: "o\(revision)", revision: revision, expiresAt: revision == 2 ? nil : noon, body: [UInt8(revision)])
                for _ in 0..<3 {
                    #expect(try await store.write(record))
                    #expect(try await store.record(.account, "a") == record)
                }
            }
            try await store.removeRecords(.account, ["a"])
            try await store.removeRecords(.account, ["a"])
            #expect(try await store.record(.account, "a") == nil)
            #expect(try await store.write(smallRecord("a")), "the id is free again")
        }
    }

    @Test("of fifty that write a revision at once exactly one succeeds", arguments: StoreBackend.available)
    func oneWriter(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for revision in 1...4 as ClosedRange<Int64> {
                let written: [Record] = try await withThrowingTaskGroup(of: Record?.self) { group in
                    for writer in 0..<50 {
                        let record = smallRecord("a", revision: revision, body: [UInt8(writer)])
                        group.addTask { try await store.write(record) ? record : nil }
                    }
                    return try await group.reduce(into: []) { if let record = $1 { $0.append(record) } }
                }
                #expect(written.count == 1)
                #expect(try await store.record(.account, "a") == written.first)
            }
        }
    }

    @Test("of changes that read, change and write again none is lost", arguments: StoreBackend.available)
    func noLostChange(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await expectWritten([smallRecord("a", body: [])], to: store)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<20 {
                    group.addTask {
                        while true {
                            var record = try #require(try await store.record(.account, "a"))
                            record.revision += 1
                            record.body.append(UInt8(writer))
                            if try await store.write(record) { return }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let record = try #require(try await store.record(.account, "a"))
            #expect(record.revision == 21 && record.body.sorted() == Array(0..<20 as Range<UInt8>))
        }
    }

    // MARK: Lists

    /// In the order of bytes.
    private static let oddIDs = [
        "-", "--", "--0", "-0", "-a", "0", "0-", "00", "01", "0a", "1", "10", "2", "9", "9z", "a", "a-", "a-b", "a0", "aa", "ab", "b", "z",
        "z-", "zz", String(repeating: "z", count: Record.longestID),
    ]

    @Test("a list gives the greatest ids first, in the order of bytes, page by page", arguments: StoreBackend.available)
    func pages(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let expected = Array(Self.oddIDs.reversed())
            for (number, id) in Self.oddIDs.shuffled().enumerated() {
                let owner = Self.oddIDs.firstIndex(of: id)!.isMultiple(of: 3) ? "third" : ""
                try await expectWritten([smallRecord(id, of: owner, body: [UInt8(number)]), smallRecord(id, kind: .audit)], to: store)
            }
            let thirds = expected.filter { Self.oddIDs.firstIndex(of: $0)!.isMultiple(of: 3) }
            let others = expected.filter { !thirds.contains($0) }
            let lists: [(String?, [String])] = [(nil, expected), ("third", thirds), ("", others), ("thir", [])]
            for (owner, all) in lists {
                for limit in [1, 2, 7, all.count, 1_000, Int.max] where limit > 0 {
                    var found: [String] = []
                    while true {
                        let page = try await ids(store, of: owner, before: found.last, limit: limit)
                        found += page
                        guard page.count == limit, found.count <= all.count else { break }
                    }
                    #expect(found == all, "\(owner ?? "all"), pages of \(limit)")
                }
                // Ids that nothing has, and texts that are no ids.
                for before in ["", "\u{0}", "A", "_", "a-a", "zzz", "\u{10FFFF}", "$gt"] {
                    let below = all.filter { BytewiseString($0) < BytewiseString(before) }
                    #expect(try await ids(store, of: owner, before: before) == below, "\(before)")
                }
                for limit in [0, -1, Int.min] { #expect(try await ids(store, of: owner, limit: limit) == []) }
            }
            #expect(try await ids(store, .invitation) == [])
        }
    }

    @Test("nothing of one owner is in the list of another", arguments: StoreBackend.available)
    func owners(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let owners = StoreContractIsolation.neighbours.map(\.name) + [""]
            for (number, owner) in owners.enumerated() {
                let accounts = ["a\(number)", "b\(number)"].map { smallRecord($0, of: owner) }
                try await expectWritten(accounts + [smallRecord("a\(number)", kind: .session, of: owner)], to: store)
            }
            for (number, owner) in owners.enumerated() {
                #expect(try await ids(store, of: owner) == ["b\(number)", "a\(number)"])
                #expect(try await ids(store, of: owner, before: "b\(number)") == ["a\(number)"])
                #expect(try await ids(store, .session, of: owner) == ["a\(number)"])
            }
            #expect(try await ids(store).count == owners.count * 2)
            // A record that gets another owner leaves the list of the first.
            #expect(try await store.write(smallRecord("a0", of: owners[1], revision: 2)))
            #expect(try await ids(store, of: owners[0]) == ["b0"])
            #expect(try await ids(store, of: owners[1]) == ["b1", "a1", "a0"])
        }
    }

    @Test("a list has at most its longest length", arguments: StoreBackend.available)
    func longest(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let names = (0..<Record.longestList + 5).map { "n\(10_000 + $0)" }
            try await withThrowingTaskGroup(of: Void.self) { group in
                // Less than a store lets wait.
                for chunk in 0..<100 {
                    group.addTask {
                        for name in stride(from: chunk, to: names.count, by: 100).map({ names[$0] }) {
                            let isWritten = try await store.write(smallRecord(name, of: "o"))
                            #expect(isWritten)
                        }
                    }
                }
                try await group.waitForAll()
            }
            for owner in ["o", nil] {
                let found = try await ids(store, of: owner, limit: .max)
                #expect(found == Array(names.reversed().prefix(Record.longestList)))
                #expect(try await ids(store, of: owner, before: found.last, limit: .max) == Array(names.prefix(5).reversed()))
            }
        }
    }

    // MARK: Removal

    @Test("records are removed by their ids", arguments: StoreBackend.available)
    func removal(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            try await expectWritten(["a", "b", "c"].flatMap { [smallRecord($0), smallRecord($0, kind: .invitation)] }, to: store)
            try await store.removeRecords(.account, [])
            try await store.removeRecords(.account, (0..<2_500).map { "unknown-\($0)" } + ["b"])
            #expect(try await ids(store) == ["c", "a"])
            try await store.removeRecords(.invitation, ["a", "b", "c", "c"])
            #expect(try await ids(store, .invitation) == [])
            #expect(try await ids(store) == ["c", "a"])
        }
    }

    @Test("records of all kinds are removed when they have expired, those first that expired first", arguments: StoreBackend.available)
    func expiry(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            for (number, kind) in (Record.Kind.allCases + Record.Kind.allCases).enumerated() {
                try await expectWritten(
                    [
                        smallRecord("t\(number)", kind: kind, expiresAt: noon + .seconds(number)), smallRecord("k\(number)", kind: kind),
                        smallRecord("l\(number)", kind: kind, expiresAt: .latest),
                    ], to: store)
            }
            func left() async throws -> Set<String> {
                var left: Set<String> = []
                for kind in Record.Kind.allCases { left.formUnion(try await ids(store, kind).filter { $0.starts(with: "t") }) }
                return left
            }
            #expect(try await store.removeExpiredRecords(at: noon - .milliseconds(1), limit: 9) == 0)
            for limit in [0, -1, Int.min] { #expect(try await store.removeExpiredRecords(at: .latest, limit: limit) == 0) }
            #expect(try await left().count == 8)
            #expect(try await store.removeExpiredRecords(at: noon, limit: 9) == 1, "at its very time")
            #expect(try await left() == Set((1..<8).map { "t\($0)" }))
            #expect(try await store.removeExpiredRecords(at: noon + .seconds(60), limit: 2) == 2)
            #expect(try await left() == Set((3..<8).map { "t\($0)" }))
            #expect(try await store.removeExpiredRecords(at: noon + .seconds(5), limit: 9) == 3)
            #expect(try await left() == ["t6", "t7"])
            #expect(try await store.removeExpiredRecords(at: noon + .seconds(60), limit: .max) == 2)
            #expect(try await store.removeExpiredRecords(at: noon + .seconds(60), limit: 9) == 0)
            for kind in Record.Kind.allCases { #expect(try await ids(store, kind).count == 4, "what lasts longer is kept") }
        }
    }

    @Test("an expired record that is written again without a time is kept", arguments: StoreBackend.available)
    func revived(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let kept = smallRecord("a", revision: 2)
            for name in ["a", "b"] { try await expectWritten([smallRecord(name, expiresAt: noon)], to: store) }
            #expect(try await store.write(kept))
            #expect(try await store.removeExpiredRecords(at: .latest, limit: 9) == 1)
            #expect(try await store.records(.account, of: nil, before: nil, limit: 9) == [kept])
            #expect(try await !store.write(smallRecord("b", revision: 2)), "what was removed is not changed")
        }
    }

    @Test(
        "a record whose time is raised while expired ones are removed is kept, or is gone for its writer too",
        arguments: StoreBackend.available)
    func raisedTime(backend: StoreBackend) async throws {
        try await withStore(backend) { store async throws in
            let names = (0..<60).map { "s\($0)" }
            for name in names { try await expectWritten([smallRecord(name, kind: .session, expiresAt: noon)], to: store) }
            let (kept, removed) = try await withThrowingTaskGroup(of: (name: String?, removed: Int).self) { group in
                for name in names {
                    group.addTask {
                        let raised = smallRecord(name, kind: .session, revision: 2, expiresAt: noon + .seconds(60))
                        return (try await store.write(raised) ? name : nil, 0)
                    }
                }
                for _ in 0..<12 { group.addTask { (nil, try await store.removeExpiredRecords(at: noon, limit: 5)) } }
                return try await group.reduce(into: (Set<String>(), 0)) { result, one in
                    if let name = one.name { result.0.insert(name) }
                    result.1 += one.removed
                }
            }
            #expect(try await Set(ids(store, .session)) == kept)
            #expect(kept.count + removed == names.count)
        }
    }
}
