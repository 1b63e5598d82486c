import Foundation
import Testing

@testable import AnalyticsCore

/// Zones as the machine that made the fixtures had them, against what Python's zoneinfo says of the same (Tests/Fixtures/zones/make-zones.py).
struct ZoneTests {
    private struct Expected: Decodable {
        /// Seconds since 1970, and seconds east of UTC then.
        var offsets: [[Int64]]
        var starts: [Start]

        /// A date and the first second at which the zone's date is that or later.
        struct Start: Decodable {
            var date: String
            var second: Int64

            init(from decoder: any Decoder) throws {
                var values = try decoder.unkeyedContainer()
                date = try values.decode(String.self)
                second = try values.decode(Int64.self)
            }
        }
    }

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/zones")
    private static let database = ZoneDatabase(folder: folder.path)
    private static let expected: [String: Expected] = {
        let file = folder.appending(path: "zones.json")
        guard let data = try? Data(contentsOf: file) else { return [:] }
        return (try? JSONDecoder().decode([String: Expected].self, from: data)) ?? [:]
    }()

    private static func rules(_ name: String) throws -> ZoneRules {
        let name = try #require(ZoneName(name))
        return try #require(database.rules(of: name))
    }

    @Test func thereAreFixtures() { #expect(Self.expected.count == 12) }

    @Test(arguments: expected.keys.sorted())
    func offsetsAreThoseOfAnotherReader(zone: String) throws {
        let rules = try Self.rules(zone)
        for pair in try #require(Self.expected[zone]).offsets {
            #expect(rules.offset(atSecond: pair[0]) == pair[1], "\(zone) \(Timestamp(milliseconds: pair[0] * 1_000).rfc3339)")
        }
    }

    @Test(arguments: expected.keys.sorted())
    func aDayBeginsAtTheFirstMomentWithItsDate(zone: String) throws {
        let rules = try Self.rules(zone)
        for start in try #require(Self.expected[zone]).starts {
            let local = try #require(Timestamp(rfc3339: "\(start.date)T00:00:00Z")).milliseconds
            #expect(rules.firstMoment(showing: local).milliseconds == start.second * 1_000, "\(zone) \(start.date)")
        }
    }

    @Test func afterTheListedYearsTheRulesRepeat() throws {
        let berlin = try Self.rules("Europe/Berlin")
        for year in [2_450, 2_799, 2_800, 3_199, 3_200, 9_999] {
            let (winter, summer) = (Timestamp(rfc3339: "\(year)-01-15T12:00:00Z")!, Timestamp(rfc3339: "\(year)-07-15T12:00:00Z")!)
            #expect(berlin.offset(at: winter) == 3_600_000 && berlin.offset(at: summer) == 7_200_000, "\(year)")
            let changes = berlin.changes(
                in: Timestamp(rfc3339: "\(year)-01-01T00:00:00Z")!..<Timestamp(rfc3339: "\(year)-12-31T00:00:00Z")!)
            #expect(changes.map { String($0.rfc3339.utf8.dropFirst(4).prefix(4))! } == ["-03-", "-10-"], "\(year)")
            #expect(berlin.firstMoment(showing: summer.milliseconds) == summer - .seconds(7_200))
        }
    }

    @Test(arguments: [
        "", "/Berlin", "Berlin/", "../etc/passwd", "Europe/Berlin\0", "Europe Berlin", "Zürich", "Europe//Berlin", "posix/UTC",
        "right/Europe/Berlin", "localtime", "posixrules", "a/b/c/d", String(repeating: "a", count: 65), "a.b",
    ])
    func whatIsNoNameIsRefused(text: String) { #expect(ZoneName(text) == nil) }

    @Test func aZoneThatTheMachineDoesNotHaveIsUnknown() throws {
        for name in ["Europe/Nowhere", "Europe", "zones", "Etc"] {
            let name = try #require(ZoneName(name))
            #expect(Self.database.rules(of: name) == nil)
        }
        #expect(Self.database.rules(of: .utc)?.offset(at: .latest) == 0)
    }

    @Test func aDamagedFileIsNoZone() throws {
        let file = Array(try Data(contentsOf: Self.folder.appending(path: "Europe/Berlin")))
        #expect(ZoneFile.rules(file) != nil)
        var refused = 0
        for length in 0..<file.count where ZoneFile.rules(Array(file.prefix(length))) == nil { refused += 1 }
        #expect(refused == file.count)
        // Whatever a byte is changed to, it is read or refused, and never traps.
        for index in file.indices {
            var damaged = file
            damaged[index] = damaged[index] &+ 129
            _ = ZoneFile.rules(damaged)
        }
    }

    @Test(arguments: [
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-07-01T00:00:00Z", 7_200), ("<+0545>-5:45", "2026-07-01T00:00:00Z", 20_700),
        ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-01-01T00:00:00Z", 0), ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-07-01T00:00:00Z", 3_600),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-07-01T00:00:00Z", -3_600), ("AAA3BBB,J60,J300", "2028-02-29T23:00:00Z", -10_800),
        ("AAA3BBB,J60,J300", "2028-03-01T06:00:00Z", -7_200), ("AAA3BBB,59/0,300", "2028-02-29T06:00:00Z", -7_200),
    ])
    func rulesAreReadAsPOSIXWritesThem(rule: String, time: String, offset: Int64) throws {
        let rule = try #require(ZoneRule(rule))
        let second = try #require(Timestamp(rfc3339: time)).milliseconds / 1_000
        let last = rule.changes(after: nil).last { $0.second <= second }?.offset
        #expect((last ?? rule.standard) == offset)
    }

    @Test(arguments: [
        "", "CET", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CE-1", "CET-1CEST,M3.5.0,M10.5.0/3x", "<CET-1", "CET-200",
    ])
    func whatIsNoRuleIsRefused(rule: String) { #expect(ZoneRule(rule) == nil) }
}
