import TestSupport
import Testing

@testable import AnalyticsCore

struct EmailAddressTests {
    @Test(arguments: [
        ("ann@example.org", "ann@example.org"), (" Ann@Example.ORG\r\n", "ann@example.org"), ("ann@localhost", "ann@localhost"),
        ("a.b+c-d_e@mail.example.co.uk", "a.b+c-d_e@mail.example.co.uk"), ("o'neil@example.org", "o'neil@example.org"),
        ("1@2.example", "1@2.example"), ("ann@xn--lden-loa.example", "ann@xn--lden-loa.example"),
        (String(repeating: "a", count: 64) + "@example.org", String(repeating: "a", count: 64) + "@example.org"),
    ])
    func anAddressIsKeptInLowerCaseWithoutSpaces(text: String, address: String) throws {
        let email = try #require(EmailAddress(text))
        #expect(email.text.equalsUTF8(address))
        #expect(EmailAddress(email.text) == email)
    }

    @Test(arguments: [
        "", " ", "@", "ann", "ann@", "@example.org", "ann@example", "ann@@example.org", "a@b@example.org", "an n@example.org",
        "ann@exa mple.org", "ann@example..org", "ann@.example.org", "ann@example.org.", "ann@-example.org", "ann@example-.org",
        "ann@exam_ple.org", "ann\u{0}@example.org", "ann\n@example.org", "\u{1B}[2J@example.org", "änn@example.org", "ann@exämple.org",
        "ann@example.org\u{301}", "\"ann\"@example.org", "ann<ann@example.org>", "ann,bob@example.org", "ann@[192.0.2.1]",
        "\u{212A}arl@example.org", String(repeating: "a", count: 65) + "@example.org",
        "ann@" + String(repeating: "a", count: 64) + ".org", "a@" + String(repeating: "abcdefgh.", count: 28) + "org",
    ])
    func otherTextsAreNoAddresses(text: String) {
        #expect(EmailAddress(text) == nil)
    }
}
