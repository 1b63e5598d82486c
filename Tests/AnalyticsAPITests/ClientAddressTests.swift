import AnalyticsCore
import HTTPTypes
import Testing

@testable import AnalyticsAPI

@Suite struct ClientAddressTests {
    private func address(_ peer: String?, _ forwarded: [String] = [], keep: Bool = true, proxies: Int = 1) -> String? {
        var headers = HTTPFields()
        headers[values: .xForwardedFor] = forwarded
        return ClientAddressRule(keepsWhole: keep, trustedProxies: proxies).origin(peer: peer, headers: headers).origin.address
    }

    private struct Known: CountryDatabase {
        func country(of address: ClientAddress) -> Country? { address.text == "198.51.100.7" ? Country("FR") : nil }
    }

    @Test(arguments: [
        (["DE"], true, "DE"), (["de"], true, "DE"), (["DE"], false, nil), (["XX"], true, "FR"), (["T1"], true, "FR"), ([], true, "FR"),
        (["DE", "SE"], true, "FR"), (["DEU"], true, "FR"), (["D\u{c9}"], true, "FR"),
    ])
    func `a country is what a trusted proxy says, else what a file knows of the whole address`(
        header: [String], trust: Bool, expected: String?
    ) throws {
        var headers = HTTPFields()
        let name = try #require(HTTPField.Name("CF-IPCountry"))
        headers[values: name] = header
        headers[values: .xForwardedFor] = ["198.51.100.7"]
        let rule = ClientAddressRule(keepsWhole: false, trustedProxies: trust ? 1 : 0, countryHeader: name, countries: Known())
        let (origin, address) = rule.origin(peer: "10.0.0.1", headers: headers)
        #expect(origin.country?.code == expected)
        #expect(origin.address == (trust ? "198.51.100.0" : "10.0.0.0") && address?.text == (trust ? "198.51.100.7" : "10.0.0.1"))
    }

    @Test(arguments: [
        ("203.0.113.77", "203.0.113.0"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"), ("::ffff:203.0.113.77", "203.0.113.0"), ("::1", "::"),
    ])
    func `an address is cut to its network unless it is to be kept`(whole: String, cut: String) {
        #expect(address(whole, keep: false) == cut)
        #expect(address(whole, keep: true) == ClientAddress(whole)?.text)
    }

    @Test func `a forwarded address counts only behind a trusted proxy`() {
        #expect(address("10.0.0.1", ["198.51.100.7"], proxies: 0) == "10.0.0.1")
        #expect(address("10.0.0.1", ["198.51.100.7"]) == "198.51.100.7")
        #expect(address("10.0.0.1") == "10.0.0.1")
    }

    @Test(arguments: [
        // The client may write what it likes on the left, from whatever network it comes.
        (["1.2.3.4, 198.51.100.7"], 1, "198.51.100.7"), (["1.2.3.4, 10.1.2.3"], 1, "10.1.2.3"), (["1.2.3.4,100.64.0.7"], 1, "100.64.0.7"),
        (["1.2.3.4", "fc00::7"], 1, "fc00::7"), (["1.2.3.4, 127.0.0.1"], 1, "127.0.0.1"),
        (["1.2.3.4", "198.51.100.7, 10.0.0.9"], 2, "198.51.100.7"), (["1.2.3.4, 10.1.2.3, 10.0.0.9"], 2, "10.1.2.3"),
        (["1.2.3.4,198.51.100.7", "10.0.0.8", "10.0.0.9"], 3, "198.51.100.7"),
        // It has come past the outer proxies.
        (["198.51.100.7"], 2, "198.51.100.7"), (["198.51.100.7"], 10, "198.51.100.7"),
        (["198.51.100.7:4711"], 1, "198.51.100.7"), (["[2001:db8::7]:4711"], 1, "2001:db8::7"), (["198.51.100.7 ,"], 1, "198.51.100.7"),
        (["198.51.100.7, unknown"], 1, "10.0.0.1"), (["198.51.100.7, unknown, 10.0.0.9"], 2, "10.0.0.1"), ([""], 1, "10.0.0.1"),
    ])
    func `the client's address is the one that the first of the trusted proxies has seen`(
        forwarded: [String], proxies: Int, expected: String
    ) {
        #expect(address("10.0.0.1", forwarded, proxies: proxies) == expected)
    }
}
