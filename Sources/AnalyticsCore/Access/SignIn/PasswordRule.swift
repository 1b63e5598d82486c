/// What a new password must be (NIST SP 800-63B, section 5.1.1.2): long, and not one of the first guesses.
public enum PasswordRule {
    /// In Unicode scalars.
    public static let shortest = 12
    /// In bytes.
    public static let longest = 1_024
    private static let fewestCharacters = 5
    /// Of an address: a shorter local part may be in any password.
    private static let shortestLocalPart = 4

    /// In lower case. The longer of two that begin alike comes first.
    private static let commonWords: [[UInt8]] = [
        "password", "passwort", "passw", "pass", "qwertyuiop", "qwertzuiop", "azertyuiop", "qwerty", "qwertz", "azerty", "asdfghjkl",
        "asdfgh", "asdf", "zxcvbnm", "yxcvbnm", "qazwsx", "letmein", "welcome", "willkommen", "iloveyou", "ichliebedich", "changeme",
        "administrator", "admin", "root", "user", "login", "master", "secret", "geheim", "test", "guest", "default", "temp", "football",
        "baseball", "princess", "sunshine", "dragon", "monkey", "superman", "batman", "trustno", "hello", "hallo", "abcdef", "abcd", "abc",
        "correcthorsebatterystaple", "analytics", "company", "summer", "winter", "spring", "autumn",
    ].map { Array($0.utf8) }

    /// What is wrong with the password; `nil` if nothing is.
    public static func fault(in password: String, of email: EmailAddress) -> String? {
        guard password.utf8.count <= longest else { return "the password has more than \(longest) bytes" }
        let scalars = password.unicodeScalars.map { Int($0.value) }
        guard scalars.count >= shortest else { return "the password has fewer than \(shortest) characters" }
        guard Set(scalars).count >= fewestCharacters else { return "the password repeats a few characters" }
        guard !isSequence(scalars) else { return "the password is a sequence of neighbouring characters" }
        let plain = password.lowercasedASCII()
        guard !isCommon(plain) else { return "the password is a common one" }
        if let (local, _) = email.text.cutUTF8(atLast: "@"), local.utf8.count >= shortestLocalPart,
            plain.utf8.firstRange(of: local.utf8) != nil
        {
            return "the password contains a part of the address"
        }
        return nil
    }

    /// Whether three of four characters are equal to the one before or next to it: `abcdefghijkl`, `123456789012`, `aaabbbcccddd`.
    private static func isSequence(_ scalars: [Int]) -> Bool {
        let steps = zip(scalars, scalars.dropFirst()).count(where: { areNeighbours($0, $1) })
        return steps * 4 >= (scalars.count - 1) * 3
    }

    /// 9 and 0 are, too.
    private static func areNeighbours(_ a: Int, _ b: Int) -> Bool {
        abs(a - b) <= 1 || (abs(a - b) == 9 && a + b == 0x30 + 0x39)
    }

    /// Whether its letters are nothing but common words.
    private static func isCommon(_ plain: String) -> Bool {
        var rest = plain.utf8.filter { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || $0 >= 0x80 }[...]
        guard !rest.isEmpty else { return false }
        while !rest.isEmpty {
            guard let word = commonWords.first(where: { rest.starts(with: $0) }) else { return false }
            rest = rest.dropFirst(word.count)
        }
        return true
    }
}
