import TestSupport
import Testing

@testable import AnalyticsCore

struct APIKeyTests {
    @Test(arguments: ["shop", "0", "my-shop_2", "a--__b", "z9_z9_z9_z9_z9_z9_z9_z9_z9"] as [ProjectID], Scope.allCases)
    func aNewKeyIsReadAgainAndHasTheFormThatScannersLookFor(project: ProjectID, scope: Scope) throws {
        var random = Seeded(7)
        for _ in 0..<50 {
            let key = APIKey(project: project, scope: scope, using: &random)
            #expect(APIKey(key.text) == key && key.scope == scope)
            #expect(key.text.wholeMatch(of: #/ev[wra]_[a-z0-9]{1,16}_[0-9A-Za-z]{38}/#) != nil, "\(key.text)")
            #expect(key.text.utf8.count <= APIKey.longest)
        }
    }

    @Test func theCharactersOfAllKeysDiffer() {
        let keys = (0..<100).map { _ in APIKey(project: "shop", scope: .write).text }
        #expect(Set(keys).count == keys.count)
        let secrets = keys.map { $0.utf8.dropFirst("evw_shop_".utf8.count).prefix(32) }
        #expect(Set(secrets.joined()).count == 62, "every character occurs")
        for place in 0..<32 { #expect(Set(secrets.map { Array($0)[place] }).count > 20) }
    }

    @Test(arguments: Scope.allCases)
    func everyChangeOfOneCharacterIsRefused(scope: Scope) {
        var random = Seeded(11)
        let key = APIKey(project: "my-shop", scope: scope, using: &random).text
        let characters = Array(key.unicodeScalars)
        let others = Array("09AZaz_- \n\0rw\u{E9}\u{FF10}\u{212A}".unicodeScalars)
        func text(_ scalars: [Unicode.Scalar]) -> String {
            scalars.reduce(into: "") { $0.unicodeScalars.append($1) }
        }
        for place in characters.indices {
            for other in others where other != characters[place] {
                var changed = characters
                changed[place] = other
                #expect(APIKey(text(changed)) == nil, "\(text(changed))")
            }
            var (shorter, longer) = (characters, characters)
            shorter.remove(at: place)
            longer.insert("a", at: place)
            #expect(APIKey(text(shorter)) == nil && APIKey(text(longer)) == nil, "\(place)")
        }
        #expect(APIKey(key + "\n") == nil && APIKey(" " + key) == nil && APIKey(key + "a") == nil)
    }

    @Test func twoCharactersThatAreExchangedAreNoticed() {
        let key = APIKey(project: "shop", scope: .read).text
        let characters = Array(key.utf8)
        for place in characters.indices.dropLast() where characters[place] != characters[place + 1] {
            var changed = characters
            changed.swapAt(place, place + 1)
            #expect(APIKey(String(decoding: changed, as: UTF8.self)) == nil)
        }
    }

    @Test(arguments: [
        "", "evw", "evw_", "evw_shop", "evw_shop_", "evw__", "evw_shop_\(String(repeating: "0", count: 38))",
        "evw__\(String(repeating: "0", count: 38))", "evw_shop_evw_shop_evw_shop_evw_shop_evw_shop_evw_shop_evw_shop_",
    ])
    func otherTextsAreNoKeys(text: String) {
        #expect(APIKey(text) == nil)
    }

    @Test(arguments: [
        ("shop", "shop"), ("0", "0"), ("my-shop_2", "myshop2"), ("a--__b", "ab"), ("a-", "a"),
        (String(repeating: "a", count: 64), String(repeating: "a", count: 16)), ("a-23456789-123456-78", "a234567891234567"),
    ])
    func aKeyHintsAtItsProject(project: String, hint: String) throws {
        let key = APIKey(project: try #require(ProjectID(project)), scope: .admin)
        #expect(key.text.starts(withUTF8: "eva_\(hint)_") && APIKey(key.text) != nil)
    }

    /// Computed by another program.
    @Test func theChecksumAndTheDigestAreThoseOfTheDocument() throws {
        let key = try #require(APIKey("evw_shop_0123456789ABCDEFGHIJKLMNOPQRSTUV1GBg3n"))
        #expect(key.scope == .write && key.prefix == "evw_shop_0123")
        #expect(key.digest.keyID == "3e52f07446dbde730741")
        #expect(key.digest.bytes.count == KeyDigest.byteCount && key.digest.bytes.suffix(3) == [0x76, 0x36, 0xC4])
    }

    @Test func theIdIsTheBeginningOfTheDigestAndTheDigestIsComparedWhole() throws {
        for _ in 0..<20 {
            let digest = APIKey(project: "shop", scope: .write).digest
            let hexadecimal = digest.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(hexadecimal.starts(withUTF8: digest.keyID) && digest.keyID.utf8.count == 20)
            for place in digest.bytes.indices {
                var bytes = digest.bytes
                bytes[place] ^= 1
                let other = try #require(KeyDigest(bytes: bytes))
                #expect(!digest.isSame(as: other) && digest != other)
            }
            #expect(KeyDigest(bytes: digest.bytes) == digest)
        }
        #expect(KeyDigest(bytes: []) == nil && KeyDigest(bytes: [UInt8](repeating: 0, count: 33)) == nil)
    }

    @Test func aScopeGrantsItselfAndAnAdministratorEverything() {
        #expect(Scope.write.granted == [.write] && Scope.read.granted == [.read])
        #expect(Scope.admin.granted == Set(Scope.allCases))
        let key = StoredKey(APIKey(project: "shop", scope: .read))
        #expect(key.principal == Principal(project: "shop", scopes: [.read], key: key.id))
    }
}
