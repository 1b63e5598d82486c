import Testing

@testable import AnalyticsCore

struct ProviderAttemptTests {
    private static let attempt = ProviderAttempt(secret: Array(0..<32), returnPath: ReturnPath("/docs?x=1")!)

    /// Another process, of another version too, completes what this one has begun. Computed by Python's hmac and hashlib.
    @Test func whatGoesToTheProviderFollowsFromTheCookie() throws {
        let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8.L2RvY3M_eD0x"
        #expect(Self.attempt.text == text)
        let read = try #require(ProviderAttempt(text))
        #expect(read == Self.attempt && read.returnPath.text == "/docs?x=1")
        #expect(read.state == "jO4aOtXMvKop39pCOY8y98iZ07VbErHHmRD91LCTb_M")
        #expect(read.nonce == "LWvcU5kBMuzpyIuTOIA7-8E5qtsDcTjRex3ATDRM34o")
        #expect(read.verifier == "2TrVZFEesdPXGN-ufbMVv8T-Xjk0RdzpG153FQ2ayzU")
        #expect(read.challenge == "SUZLQ8f7p7noS2OI9JASO46y4-KB67YQ81OBN9ayFiE")
    }

    @Test func onlyItsOwnStateIsAdmitted() {
        let other = ProviderAttempt(secret: Array(1..<33), returnPath: .standard)
        #expect(Self.attempt.admits(state: Self.attempt.state))
        for state in ["", "x", other.state, Self.attempt.nonce, Self.attempt.verifier, String(Self.attempt.state.dropLast()), "é"] {
            #expect(!Self.attempt.admits(state: state))
        }
    }

    @Test func aCookieHasASecretOf32BytesAndAPathOfThisService() {
        let secret = Base64URL.encode(Array(0..<32))
        func path(_ text: String) -> String { Base64URL.encode(Array(text.utf8)) }
        #expect(ProviderAttempt("\(secret).\(path("/"))") != nil)
        let wrong = [
            "", ".", secret, "\(secret).", ".\(path("/"))", "\(secret).\(path("//evil.example"))",
            "\(secret).\(path("https://evil.example"))",
            "\(secret.dropLast(2)).\(path("/"))", "\(secret)AA.\(path("/"))", "\(secret).\(path("/")).x",
            "\(secret).\(Base64URL.encode([0x2F, 0xFF]))", "\(secret).\(path("/" + String(repeating: "x", count: 1_000)))",
        ]
        for text in wrong { #expect(ProviderAttempt(text) == nil, "\(text)") }
    }

    @Test(arguments: ["/", "/docs", "/docs?x=1#problem-internal", "/a/b-._~!$&'()*+,;=:@%2F"]) func aPathOfThisServiceIsAReturnPath(
        text: String
    ) {
        #expect(ReturnPath(text)?.text == text)
    }

    @Test(arguments: [
        "", "docs", "https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\/evil.example",
        "/\u{9}/evil.example",
        "/a//b", "/docs\r\nset-cookie: x=y", "/a b", "/é", "/\u{0}", " /docs", "/" + String(repeating: "x", count: 1_000),
    ])
    func whatABrowserMayTakeForAnotherSiteIsNoReturnPath(text: String) {
        #expect(ReturnPath(text) == nil)
    }
}
