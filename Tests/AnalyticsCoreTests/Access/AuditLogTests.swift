import TestSupport
import Testing

@testable import AnalyticsCore

struct AuditLogTests {
    private let store = MemoryStore()
    private let clock = ManualClock()

    private func log(_ ids: IDGenerator = .counting("e")) -> AuditLog { AuditLog(store: store, clock: clock.wall, ids: ids) }

    private func ids(_ project: ProjectID?, before id: String? = nil, limit: Int = 100) async throws -> [String] {
        try await log().entries(of: project, before: id, limit: limit).map(\.id)
    }

    @Test func anEntrySaysWhoDidWhatWhenAndFromWhere() async throws {
        try await log().record(
            .keyCreate, project: "shop_1", target: "läden\u{0}", details: "scope: read", by: .account("0a", session: "0b"),
            from: "192.0.2.1")
        let expected = AuditEntry(
            id: "e0", time: noon, actor: "account 0a", action: .keyCreate, project: "shop_1", target: "läden\u{0}", details: "scope: read",
            address: "192.0.2.1")
        #expect(try await log().entries(of: nil, before: nil, limit: 10) == [expected])
        #expect(try await log().entries(of: "shop_1", before: nil, limit: 10) == [expected])
    }

    @Test func entriesAreListedNewestFirstInPagesAndPerProject() async throws {
        let log = log()
        for project in ["shop", nil, "bank", "shop"] as [ProjectID?] {
            try await log.record(.projectChange, project: project, by: .command, from: nil)
        }
        #expect(try await ids(nil) == ["e3", "e2", "e1", "e0"])
        #expect(try await ids(nil, limit: 2) == ["e3", "e2"])
        #expect(try await ids(nil, before: "e2") == ["e1", "e0"])
        #expect(try await ids("shop") == ["e3", "e0"])
        #expect(try await ids("shop", before: "e3") == ["e0"])
        #expect(try await ids("none").isEmpty)
    }

    @Test func anEntryIsKeptFor400Days() async throws {
        try await log().record(.signIn, by: .administrator, from: nil)
        #expect(try await store.record(.audit, "e0")?.expiresAt == noon + .seconds(400 * 86_400))
    }

    @Test func longTextsAreClipped() async throws {
        let long = String(repeating: "é", count: 40_000)
        try await log().record(.signIn, target: long, details: long, by: .administrator, from: long)
        let entry = try #require(try await log().entries(of: nil, before: nil, limit: 1).first)
        #expect(entry.details.equalsUTF8(String(repeating: "é", count: 500) + "…"))
        #expect(entry.target.equalsUTF8(String(repeating: "é", count: 150) + "…"))
        #expect(entry.address?.equalsUTF8(String(repeating: "é", count: 50) + "…") == true)
    }

    @Test func anEntryNeverReplacesAnother() async throws {
        let same = log(IDGenerator { "same" })
        try await same.record(.signIn, by: .administrator, from: nil)
        await #expect(throws: StoreError.self) { try await same.record(.signOut, by: .administrator, from: nil) }
        #expect(try await log().entries(of: nil, before: nil, limit: 10).map(\.action) == [.signIn])
    }

    @Test func laterEntriesOfTheUsualGeneratorComeFirst() async throws {
        let log = log(.uuid7(clock: clock.wall))
        for action in [AuditAction.signIn, .signOut, .totpOn] {
            try await log.record(action, by: .administrator, from: nil)
            clock.advance(by: .milliseconds(1))
        }
        #expect(try await log.entries(of: nil, before: nil, limit: 10).map(\.action) == [.totpOn, .signOut, .signIn])
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"time":{"milliseconds":9223372036854775807},"actor":"a","action":"sign-in","target":"","details":""}"#,
    ])
    func anEntryThatCannotBeReadHidesNoOther(body: String) async throws {
        try await log().record(.signIn, by: .administrator, from: nil)
        let expiresAt = noon + .seconds(1) + AuditLog.kept
        #expect(try await store.write(Record(kind: .audit, id: "f", owner: "shop", expiresAt: expiresAt, body: Array(body.utf8))))
        let entries = try await log().entries(of: nil, before: nil, limit: 10)
        #expect(entries.map(\.action.rawValue) == ["unreadable", "sign-in"])
        #expect(entries.first == AuditEntry(id: "f", time: noon + .seconds(1), actor: "", action: .unreadable, project: "shop"))
    }

    @Test func anActionOfAnotherVersionIsShown() async throws {
        let body = #"{"time":{"milliseconds":0},"actor":"a","action":"key.lend","target":"","details":""}"#
        #expect(try await store.write(Record(kind: .audit, id: "e", body: Array(body.utf8))))
        #expect(try await log().entries(of: nil, before: nil, limit: 10).map(\.action.rawValue) == ["key.lend"])
    }
}
