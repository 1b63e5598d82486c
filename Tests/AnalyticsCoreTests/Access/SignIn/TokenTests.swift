import Foundation
import TestSupport
import Testing

@testable import AnalyticsCore

struct TokenTests {
    @Test func aNewTokenIsReadAgainAndHasTheFormThatScannersLookFor() {
        for _ in 0..<50 {
            let session = SessionToken()
            #expect(SessionToken(session.text) == session && InvitationToken(session.text) == nil && APIKey(session.text) == nil)
            #expect(session.text.wholeMatch(of: #/evs_[0-9A-Za-z]{38}/#) != nil)
            let invitation = InvitationToken()
            #expect(InvitationToken(invitation.text) == invitation && SessionToken(invitation.text) == nil)
            #expect(invitation.text.wholeMatch(of: #/evi_[0-9A-Za-z]{38}/#) != nil)
        }
    }

    /// Computed by another program.
    @Test func theChecksumAndTheIdAreThoseOfAKey() throws {
        let session = try #require(SessionToken("evs_0123456789ABCDEFGHIJKLMNOPQRSTUVyMbJLE"))
        #expect(session.digest.keyID == "4637b07cd8a8802458bc")
        let invitation = try #require(InvitationToken("evi_0123456789ABCDEFGHIJKLMNOPQRSTUVav7E1r"))
        #expect(invitation.digest.keyID == "efb3339bad0380c388dc")
    }

    @Test func everyChangeOfOneCharacterIsRefused() {
        let text = Array(SessionToken().text.utf8)
        for place in text.indices {
            var changed = text
            changed[place] = changed[place] == UInt8(ascii: "a") ? UInt8(ascii: "b") : UInt8(ascii: "a")
            #expect(SessionToken(String(decoding: changed, as: UTF8.self)) == nil)
            var shorter = text
            shorter.remove(at: place)
            #expect(SessionToken(String(decoding: shorter, as: UTF8.self)) == nil)
        }
        let whole = String(decoding: text, as: UTF8.self)
        #expect(SessionToken(whole + "a") == nil && SessionToken(whole + "\n") == nil && SessionToken(" " + whole) == nil)
        #expect(SessionToken("") == nil && SessionToken("evs_") == nil && SessionToken(String(repeating: "evs_", count: 1 << 16)) == nil)
    }

    @Test func aDigestIsReadAsItWasWrittenAndNotWithAnotherLength() throws {
        let digest = SessionToken().digest
        #expect(try JSONDecoder().decode([KeyDigest].self, from: JSONEncoder().encode([digest])) == [digest])
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([KeyDigest].self, from: JSONEncoder().encode([Data(digest.bytes.dropLast())]))
        }
    }
}
