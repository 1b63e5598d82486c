import TestSupport
import Testing

@testable import AnalyticsCore

struct PasswordRuleTests {
    private let email = EmailAddress("Margaret.Hamilton@example.org")!

    @Test(arguments: [
        "tall giraffes sing softly", "Tr0ub4dor&3xyz", "k9v2Qx7LmPz4", "Пароль-из-слов", "correct horse battery clip",
        "       x 1 % & k       ",
        "密码密码很长的句子在这里面哦", "83920183475610", "analytics of my 7 cats", "m.hamilton likes tea",
    ])
    func aLongUncommonPasswordIsAllowed(password: String) {
        #expect(PasswordRule.fault(in: password, of: email) == nil)
    }

    @Test func itsLengthIsCountedInCharactersAndBoundedInBytes() {
        let scalars = ["k", "9", "v", "2", "é", "x", "7", "L", "m", "🛍", "z"]
        #expect(PasswordRule.fault(in: scalars.joined(), of: email) == "the password has fewer than 12 characters")
        #expect(PasswordRule.fault(in: scalars.joined() + "4", of: email) == nil)
        let long = String(repeating: "k9v2Qx7L", count: 128)
        #expect(PasswordRule.fault(in: long, of: email) == nil)
        #expect(PasswordRule.fault(in: long + "m", of: email) == "the password has more than 1024 bytes")
    }

    @Test(arguments: [
        "", "short", "aaaaaaaaaaaa", "abcabcabcabcabc", "1212121212121212", "abcdefghijkl", "123456789012", "987654321098", "aaabbbcccddd",
        "abcd1234efgh", "ABCDEFGHIJKLMNOP", "password1234", "Password!2026", "passwordpassword", "qwertyuiop123!", "qwertyuiopasdfghjkl",
        "letmein-letmein", "Welcome-2026-!!!", "admin-admin-7531", "iloveyou7531!", "changeme-changeme", "correcthorsebatterystaple",
        "margaret.hamilton", "MARGARET.HAMILTON-84726", "x9!margaret.hamilton!",
    ])
    func aPasswordThatIsGuessedEarlyIsRefused(password: String) {
        #expect(PasswordRule.fault(in: password, of: email) != nil)
    }

    @Test func ofAShortLocalPartAnythingIsAllowed() throws {
        let short = try #require(EmailAddress("joe@example.org"))
        #expect(PasswordRule.fault(in: "joe's tall giraffes", of: short) == nil)
        let long = try #require(EmailAddress("joey@example.org"))
        #expect(PasswordRule.fault(in: "joey's tall giraffes", of: long) == "the password contains a part of the address")
    }
}
