import AnalyticsCore
import ArgumentParser
import Foundation
import TestSupport
import Testing

@testable import analytics

struct KeyCommandTests {
    @Test(arguments: [
        ("30d", 30 * 86_400), ("12h", 43_200), ("90m", 5_400), ("45s", 45), ("0s", 0), ("007h", 25_200), ("36500d", 36_500 * 86_400),
    ])
    func aDurationIsANumberAndAUnit(text: String, seconds: Int) {
        #expect(DurationArgument(argument: text)?.duration == .seconds(seconds))
    }

    @Test(arguments: [
        "", "d", "30", "30 d", "-1d", "+1d", "1.5h", "1w", "1D", "d30", "1d1h", "36501d", "99999999999s", "9223372036854775807d", "١d",
        "1é",
    ])
    func everythingElseIsNoDuration(text: String) { #expect(DurationArgument(argument: text) == nil) }

    @Test(arguments: ["30d", "12h", "90m", "45s", "0s", "3601s"]) func aDurationIsShownAsItIsWritten(text: String) {
        #expect(DurationArgument(argument: text)?.description == text)
    }

    private static func parsed<C>(_ words: String...) throws -> C {
        try #require(try Analytics.parseAsRoot(words) as? C)
    }

    @Test func theCommandsAreThere() throws {
        let create: CreateKey = try Self.parsed("keys", "create", "--project", "shop", "--scope", "write", "--expires", "30d")
        #expect(create.project == "shop" && create.scope == .write && create.expires?.duration == .seconds(30 * 86_400) && !create.json)
        #expect(create.requestsPerSecond == nil && create.eventsPerSecond == nil)
        let limited: CreateKey = try Self.parsed("keys", "create", "--project", "shop", "--scope", "write", "--events-per-second", "5")
        #expect(limited.requestsPerSecond == nil && limited.eventsPerSecond?.perSecond == 5)
        let rotate: RotateKey = try Self.parsed("keys", "rotate", "0123", "--overlap", "0s", "--json")
        #expect(rotate.id == "0123" && rotate.overlap.duration == .zero && rotate.json)
        #expect(try (Self.parsed("keys", "rotate", "0123") as RotateKey).overlap.duration == .seconds(3_600))
        #expect(try (Self.parsed("keys", "revoke", "0123") as RevokeKey).id == "0123")
        #expect(try (Self.parsed("keys") as ListKeys).project == nil)
        #expect(try (Self.parsed("keys", "setup", "--folder", "/keys") as SetUpKeys).folder == "/keys")
        #expect(try (Self.parsed("projects", "create", "shop", "--title", "Web shop") as CreateProject).title == "Web shop")
        #expect(try (Self.parsed("projects", "archive", "shop") as ArchiveProject).project == "shop")
        #expect(try (Self.parsed("projects", "restore", "shop") as RestoreProject).project == "shop")
        let set: SetProject = try Self.parsed(
            "projects", "set", "shop", "--requests-per-second", "10", "--events-per-second", "none", "--origins", "")
        #expect(set.requestsPerSecond?.perSecond == 10 && set.eventsPerSecond != nil && set.eventsPerSecond?.perSecond == nil)
        #expect(set.origins?.isEmpty == true && set.project == "shop")
        #expect(try (Self.parsed("projects", "set", "--project", "shop", "--title", "") as SetProject).project == "shop")
        #expect(try (Self.parsed("projects", "set", "--title", "") as SetProject).project == .first)
    }

    @Test(arguments: [
        ["keys", "create", "--project", "shop"], ["keys", "create", "--scope", "write"],
        ["keys", "create", "--project", "Shop", "--scope", "write"], ["keys", "create", "--project", "shop", "--scope", "owner"],
        ["keys", "create", "--project", "shop", "--scope", "read", "--expires", "0d"],
        ["keys", "create", "--project", "shop", "--scope", "read", "--requests-per-second", "0"],
        ["keys", "rotate", "0123", "--overlap", "31d"],
        ["keys", "revoke"], ["projects", "create"], ["projects", "create", "a b"], ["projects", "archive"],
        ["projects", "set", "--requests-per-second", "0"], ["projects", "set", "--events-per-second", "10000001"],
        ["projects", "set", "shop", "--project", "shop", "--title", ""], ["projects", "set", "Shop", "--title", ""],
        ["projects", "set", "shop"],
    ])
    func whatIsWrongIsRefused(words: [String]) { #expect(throws: (any Error).self) { try Analytics.parseAsRoot(words) } }

    private static func key(_ text: APIKey, project: ProjectID = "shop") -> StoredKey {
        StoredKey(
            digest: text.digest, project: project, scope: text.scope, name: "a\u{1B}\"b", prefix: text.prefix, maker: "command line",
            createdAt: Timestamp(milliseconds: 0))
    }

    @Test func aListShowsNoKey() {
        let text = APIKey(project: "shop", scope: .write)
        var key = Self.key(text)
        let json = KeyList.json([key])
        #expect(
            json
                == #"{"keys":[{"id":"\#(key.id)","project":"shop","scope":"write","name":"a\u001b\"b","prefix":"\#(text.prefix)","#
                + #""maker":"command line","requestsPerSecond":null,"eventsPerSecond":null,"createdAt":"1970-01-01T00:00:00.000Z","#
                + #""expiresAt":null,"lastUsedAt":null,"revokedAt":null}]}"#)
        #expect(!json.contains(text.text))
        #expect(
            KeyList.line(key)
                == #"\#(key.id) write \#(text.prefix)…, project shop, name a\u{1B}"b, "#
                + "made 1970-01-01T00:00:00.000Z by command line, never used")
        key.expiresAt = Timestamp(milliseconds: 1)
        key.lastUsedAt = Timestamp(milliseconds: 3_600_000)
        key.revokedAt = Timestamp(milliseconds: 2)
        #expect(
            KeyList.json([key]).hasSuffix(
                #""expiresAt":"1970-01-01T00:00:00.001Z","lastUsedAt":"1970-01-01T01:00:00.000Z","#
                    + #""revokedAt":"1970-01-01T00:00:00.002Z"}]}"#))
        #expect(KeyList.line(key).hasSuffix("last used 1970-01-01T01:00:00.000Z, revoked 1970-01-01T00:00:00.002Z"))
        key.rates = ProjectRates(requestsPerSecond: 10, eventsPerSecond: 200)
        #expect(KeyList.json([key]).contains(#""requestsPerSecond":10,"eventsPerSecond":200,"createdAt":"#))
        #expect(KeyList.line(key).contains("by command line, at most 10 requests/s and 200 events/s, expires "))
        #expect(KeyList.json([]) == #"{"keys":[]}"# && KeyList.text([]) == "No key.")
    }

    @Test func aNewKeyIsOneDocument() {
        let text = APIKey(project: "shop", scope: .read)
        let new = NewKey(key: text, stored: Self.key(text))
        #expect(KeyList.json(new) == #"{"id":"\#(new.stored.id)","key":"\#(text.text)","project":"shop","scope":"read"}"#)
    }

    @Test func aProjectHasAllItsSettings() {
        var record = ProjectRecord(project: "shop")
        #expect(
            ListProjects.json([record])
                == #"{"projects":[{"id":"shop","title":null,"timeZone":null,"retentionDays":null,"properties":[],"visitorIds":false,"#
                + #""allowedOrigins":[],"requestsPerSecond":null,"eventsPerSecond":null,"createdAt":null,"archivedAt":null}]}"#)
        #expect(ListProjects.line(record) == "project shop: time zone UTC, retention not set")
        record.title = "Web shop"
        record.origins = ["https://shop.example"]
        record.rates = ProjectRates(requestsPerSecond: 10, eventsPerSecond: 200)
        record.archivedAt = Timestamp(milliseconds: 0)
        #expect(
            ListProjects.line(record)
                == "project shop: 'Web shop', time zone UTC, retention not set, origins https://shop.example, at most 10 requests/s and 200 "
                + "events/s, archived at 1970-01-01T00:00:00.000Z")
        #expect(ListProjects.json([record]).contains(#""allowedOrigins":["https://shop.example"],"requestsPerSecond":10,"#))
    }
}
