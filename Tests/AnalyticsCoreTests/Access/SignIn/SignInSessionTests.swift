import Foundation
import TestSupport
import Testing

@testable import AnalyticsCore

struct SignInSessionTests {
    private let token = SessionToken()
    private let account = Account(email: .ann, epoch: "0123456789abcdef", createdAt: noon)
    private var session: Session {
        Session(token, of: account, epoch: account.epoch, .password, from: .browser, at: noon + .seconds(100))
    }

    @Test func aSessionIsReadAsItWasWritten() throws {
        let record = try session.record(revision: 7)
        #expect(record.kind == .session && record.id == token.digest.keyID && record.owner == account.id && record.revision == 7)
        #expect(record.expiresAt == session.expiresAt && record.isValid)
        #expect(try Session(record) == session)
        #expect(!String(decoding: record.body, as: UTF8.self).contains(token.text))
    }

    @Test func itEnds30DaysAfterTheSignInAnd7DaysAfterTheHourOfItsLastUse() {
        var session = session
        #expect(session.seenAt == noon && session.expiresAt == noon + .seconds(7 * 86_400))
        session.seenAt = noon + .seconds(23 * 86_400)
        #expect(session.expiresAt == noon + .seconds(30 * 86_400))
        session.seenAt = noon + .seconds(29 * 86_400)
        #expect(session.expiresAt == noon + .seconds(30 * 86_400 + 100))
    }

    @Test func aRecordOfAnotherSessionOrAccountIsDamaged() throws {
        let record = try session.record(revision: 1)
        var others = [record, record, record, record]
        others[0].id = SessionToken().digest.keyID
        others[1].owner = Account.id(of: .bob)
        others[2].body = []
        let text = String(decoding: record.body, as: UTF8.self)
        others[3].body = Array(text.replacing(#""method":"password""#, with: #""method":"magic""#).utf8)
        for other in others { #expect(throws: StoreError.self) { try Session(other) } }
    }

    @Test func theAgentIsClippedAndInASCII() {
        let client = Client(address: "192.0.2.1", agent: "A\u{1B}[2J é\n" + String(repeating: "x", count: 300))
        #expect(client.agent == "A[2J " + String(repeating: "x", count: 195))
        let session = Session(
            token, of: account, epoch: "", .oidc, from: Client(address: String(repeating: "1", count: 500), agent: ""), at: noon)
        #expect(session.address?.utf8.count ?? 0 < 110 && session.agent.isEmpty)
    }
}
