import Testing

@testable import AnalyticsCore

struct SecureURLTests {
    @Test(arguments: [
        ("https://id.example", "https://id.example", ""), ("https://id.example/", "https://id.example", "/"),
        ("HTTPS://ID.example:8443/a/b?c=d%20e", "https://id.example:8443", "/a/b?c=d%20e"),
        ("https://id.example:443/x", "https://id.example", "/x"), ("https://10.0.0.1?x", "https://10.0.0.1", "?x"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443", "/x"),
        ("http://localhost:4000/x", "http://localhost:4000", "/x"), ("http://app.localhost", "http://app.localhost", ""),
        ("http://127.8.9.10/x", "http://127.8.9.10", "/x"), ("http://[::1]:4000/x", "http://[::1]:4000", "/x"),
    ])
    func anAddressHasAnOriginAndARest(text: String, origin: String, rest: String) throws {
        let url = try #require(SecureURL(text))
        #expect(url.text == text && url.origin == origin && url.rest == rest && url.isPlain == origin.starts(withUTF8: "http:"))
    }

    @Test(arguments: [
        "", "id.example", "https://", "https:///x", "ftp://id.example", "http://id.example", "http://10.0.0.1", "http://[2001:db8::1]/",
        "http://localhost.example", "http://127.0.0.1.example", "http://128.0.0.1", "https://user@id.example",
        "https://user:pw@id.example/x",
        "https://id.example#x", "https://id.example/x#y", "https://id.example:0", "https://id.example:x", "https://id..example",
        "https://id.example/ x", "https://id.example/\u{9}x", "https://id.example/\nx", "https://id.example/é", "https://é.example",
        "https://id.example\\@evil.example", "https://id.example/<x>", " https://id.example",
        "https://id.example/" + String(repeating: "x", count: 2_000),
    ])
    func whatSecretsAreNotSentToIsNone(text: String) {
        #expect(SecureURL(text) == nil)
    }
}
