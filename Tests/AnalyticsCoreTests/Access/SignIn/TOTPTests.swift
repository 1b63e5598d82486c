import Foundation
import TestSupport
import Testing

@testable import AnalyticsCore

struct TOTPTests {
    private static let secret = Array("12345678901234567890".utf8)
    private static let first = Timestamp(milliseconds: 1_000_000_000_000)

    private func on() -> (state: TOTPState, codes: [String]) {
        var state = TOTPState(secret: Self.secret)
        let codes = state.confirm(code(-100), at: Self.first - .seconds(3_000))
        return (state, codes ?? [])
    }

    /// The code at the first time, or steps later.
    private func code(_ steps: Int64 = 0) -> String { TOTP.shown(Self.secret, step: TOTP.step(at: Self.first) + steps) }

    // MARK: Codes

    /// RFC 6238, appendix B: the last six of eight digits.
    @Test(arguments: [
        (59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (1_234_567_890, "005924"), (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ])
    func codesAreThoseOfTheStandard(seconds: Int, code: String) {
        let step = TOTP.step(at: Timestamp(milliseconds: Int64(seconds) * 1_000))
        #expect(TOTP.shown(Self.secret, step: step) == code)
        #expect(TOTP.number(code) == TOTP.code(Self.secret, step: step))
    }

    @Test(arguments: ["", "12345", "1234567", "12345a", "+12345", "-12345", "１２３４５６", "12345\n", "0x1234"])
    func anotherTextIsNoCode(text: String) {
        #expect(TOTP.number(text) == nil)
    }

    @Test func theCodesOfTheStepBeforeAndAfterAreTakenToo() {
        for steps in [-1, 0, 1] as [Int64] {
            var (state, _) = on()
            let factor = state.use(code(steps), at: Self.first)
            #expect(factor == .code)
        }
        for steps in [-2, 2, 100] as [Int64] {
            var (state, _) = on()
            let factor = state.use(code(steps), at: Self.first)
            #expect(factor == nil)
        }
    }

    @Test func aCodeIsUsedOnceAndEarlierOnesNotAnyMore() {
        var (state, _) = on()
        let answers = ([0, 0, -1, 1, 1, 0] as [Int64]).map { state.use(code($0), at: Self.first) }
        #expect(answers == [.code, nil, nil, .code, nil, nil])
    }

    @Test func spacesAndHyphensAreIgnored() {
        var (state, _) = on()
        let digits = Array(code().utf8)
        let typed = " " + String(decoding: digits[0..<3], as: UTF8.self) + "-" + String(decoding: digits[3...], as: UTF8.self) + " "
        let factor = state.use(typed, at: Self.first)
        #expect(factor == .code)
    }

    // MARK: Turning it on

    @Test func itIsOnOnceACodeIsConfirmed() {
        var state = TOTPState(secret: Self.secret)
        #expect(!state.isOn)
        let early = state.use(code(), at: Self.first)
        let wrong = state.confirm(code(5), at: Self.first)
        #expect(early == nil && wrong == nil && !state.isOn && state.recoveryCodes.isEmpty)
        let codes = state.confirm(code(), at: Self.first)
        #expect(codes?.count == 10 && state.isOn)
        let second = state.confirm(code(1), at: Self.first)
        let used = state.use(code(), at: Self.first)
        let next = state.use(code(1), at: Self.first)
        #expect(second == nil && used == nil && next == .code)
    }

    @Test func aNewSecretHas160RandomBits() {
        let secrets = (0..<50).map { _ in TOTPState.new().secret }
        #expect(Set(secrets).count == 50 && secrets.allSatisfy { $0.count == 20 })
        #expect(Set(secrets.joined()).count > 200)
    }

    // MARK: Recovery codes

    @Test func aRecoveryCodeIsUsedOnceHoweverItIsTyped() throws {
        var (state, codes) = on()
        #expect(Set(codes).count == 10)
        for code in codes { #expect(code.wholeMatch(of: #/([a-z2-7]{4}-){5}[a-z2-7]{4}/#) != nil, "\(code)") }
        let first = try #require(codes.first)
        for (place, code) in codes.enumerated() {
            let typed = [code, code.uppercased(), code.replacing("-", with: ""), code.replacing("-", with: " ")][place % 4]
            let (right, again) = (state.use(typed, at: Self.first), state.use(code, at: Self.first))
            #expect(right == .recoveryCode && again == nil && state.recoveryCodes.count == 9 - place)
        }
        for wrong in ["", first, "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa"] {
            let factor = state.use(wrong, at: Self.first)
            #expect(factor == nil)
        }
    }

    @Test func recoveryCodesAreStoredByTheirDigests() throws {
        let (state, codes) = on()
        let text = String(decoding: try JSONEncoder().encode(state), as: UTF8.self)
        for code in codes { #expect(!text.contains(code) && !text.contains(code.replacing("-", with: ""))) }
    }

    @Test func itIsReadAsItWasWritten() throws {
        var (state, _) = on()
        let wait = state.beginAttempt(at: Self.first)
        #expect(wait == nil)
        for state in [state, TOTPState.new()] {
            #expect(try JSONDecoder().decode(TOTPState.self, from: JSONEncoder().encode(state)) == state)
        }
    }

    @Test func aDamagedOneIsNotRead() throws {
        let secret = Self.secret.dropLast()
        let states = [TOTPState(secret: []), TOTPState(secret: Array(secret)), TOTPState(secret: Self.secret + [0])]
        for state in states {
            let account = Account(email: .ann, totp: state, epoch: "0123456789abcdef", createdAt: noon)
            #expect(throws: StoreError.self) { try account.record(revision: 1) }
        }
        let (state, _) = on()
        let record = try Account(email: .ann, totp: state, epoch: "0123456789abcdef", createdAt: noon).record(revision: 1)
        #expect(try Account(record)?.totp == state)
        let digest = Data(KeyDigest(of: "").bytes).base64EncodedString()
        for (part, other) in [
            (#""secret":[49,"#, #""secret":["#), (#""recoveryCodes":["#, #""recoveryCodes":["\#(digest)","#),
            (#""attempts":0"#, #""attempts":-1"#), (#""attempts":0"#, #""attempts":101"#),
            (#""attempts":0"#, #""attempts":9223372036854775807"#),
        ] {
            let text = String(decoding: record.body, as: UTF8.self)
            #expect(text.contains(part), "\(text)")
            var damaged = record
            damaged.body = Array(text.replacing(part, with: other).utf8)
            #expect(throws: StoreError.self) { try Account(damaged) }
        }
    }

    // MARK: Attempts

    @Test func afterTenAttemptsInARowEachFurtherOneWaitsTwiceAsLong() {
        var (state, codes) = on()
        var now = Self.first
        for _ in 0..<10 {
            let wait = state.beginAttempt(at: now)
            #expect(wait == nil)
        }
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = Duration.seconds(60 * minutes)
            let (first, last) = (state.beginAttempt(at: now), state.beginAttempt(at: now + pause - .milliseconds(1)))
            #expect(first == pause && last == .milliseconds(1))
            now = now + pause
            let then = state.beginAttempt(at: now)
            #expect(then == nil)
        }
        let (setBack, factor) = (state.beginAttempt(at: Self.first - .seconds(86_400)), state.use(codes[0], at: now))
        #expect(setBack == .seconds(3_600) && factor == .recoveryCode)
        for _ in 0..<10 {
            let wait = state.beginAttempt(at: now)
            #expect(wait == nil)
        }
        let wait = state.beginAttempt(at: now)
        #expect(wait == .seconds(60))
    }

    @Test func attemptsAreCountedUpToABound() {
        var (state, _) = on()
        for hour in 0..<200 {
            let wait = state.beginAttempt(at: Self.first + .seconds(hour * 3_600))
            #expect(wait == nil && state.isValid)
        }
    }

    // MARK: For the app

    @Test func theAddressForAppsHasTheSecretAndNamesTheAccount() throws {
        let setup = TOTPSetup(TOTPState(secret: Self.secret), of: try #require(EmailAddress("ann+a&b@example.org")))
        #expect(setup.secret == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
        #expect(
            setup.uri == "otpauth://totp/analytics:ann%2Ba%26b%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=analytics"
                + "&algorithm=SHA1&digits=6&period=30")
    }

    /// RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"), ("foobar", "MZXW6YTBOI"),
    ])
    func base32IsThatOfTheStandardWithoutPadding(text: String, encoded: String) {
        #expect(Base32.encode(Array(text.utf8)) == encoded)
    }
}
