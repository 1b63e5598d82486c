import AnalyticsCore
import AnalyticsGeoIP
import Foundation
import Testing

/// A file of a few networks, which `Tests/Fixtures/geoip/make-geoip.py` writes.
struct GeoIPDatabaseTests {
    private static let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/geoip/countries.mmdb")

    @Test(arguments: [
        ("192.0.2.0", "DE"), ("192.0.2.255", "DE"), ("192.0.3.0", nil), ("::ffff:192.0.2.1", "DE"), ("198.51.100.127", "FR"),
        ("198.51.100.128", "JP"), ("203.0.113.1", nil), ("203.0.113.65", nil), ("203.0.113.129", nil), ("203.0.113.200", nil),
        ("2001:db8:1:ffff::1", "SE"), ("2001:db8:2::1", nil), ("2001:db8:3::1", nil), ("0.0.0.0", nil), ("255.255.255.255", nil),
    ])
    func `an address has the country of its network`(address: String, expected: String?) throws {
        let database = try GeoIPDatabase(path: Self.file.path)
        #expect(database.country(of: try #require(ClientAddress(address)))?.code == expected)
    }

    @Test func `a file that cannot be used is refused with one line`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "geoip-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let other = folder.appending(path: "other.mmdb").path
        let whole = try Data(contentsOf: Self.file)
        for bytes in [Data(), Data("no database".utf8), whole.dropLast(40)] {
            try bytes.write(to: URL(filePath: other))
            let failure = #expect(throws: GeoIPDatabase.Failure.self) { try GeoIPDatabase(path: other) }
            #expect(failure?.message.isEmpty == false && failure?.message.contains("\n") == false)
        }
        #expect(throws: GeoIPDatabase.Failure.self) { try GeoIPDatabase(path: folder.appending(path: "missing").path) }
        // What lies in the middle is read when it is asked for.
        var damaged = whole
        for index in 0..<damaged.count - 200 { damaged[index] = 0xFF }
        try damaged.write(to: URL(filePath: other))
        if let database = try? GeoIPDatabase(path: other) { #expect(database.country(of: try #require(ClientAddress("192.0.2.1"))) == nil) }
    }
}
