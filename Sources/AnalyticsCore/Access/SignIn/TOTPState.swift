/// The second factor of an account. A state machine: the store keeps it, and a change takes effect when it is written.
public struct TOTPState: Sendable, Equatable, Codable {
    let secret: [UInt8]
    /// Whether a code was confirmed. Before that, none is asked for at a sign-in.
    public private(set) var isOn = false
    /// Of the last code. A code is used once, so those of this step and of earlier ones are refused.
    private(set) var lastStep: Int64 = 0
    /// Of the codes that are not used yet.
    private(set) var recoveryCodes: [KeyDigest] = []
    /// Since the last right code, at most ``mostAttempts``, and when the last of them was. They are stored, so they count in all processes.
    private var attempts = 0
    private var attemptedAt: Timestamp?

    /// What a right code was.
    enum Factor: String {
        case code
        case recoveryCode = "recovery code"
    }

    static let recoveryCodeCount = 10
    /// Each further one waits longer.
    private static let freeAttempts = 10
    private static let mostAttempts = 100
    private static let longestWait: Duration = .seconds(3_600)

    init(secret: [UInt8]) {
        self.secret = secret
    }

    static func new() -> TOTPState { TOTPState(secret: randomBytes(TOTP.secretBytes)) }

    /// Whether this service can have written it; otherwise the store is damaged.
    var isValid: Bool {
        secret.count == TOTP.secretBytes && recoveryCodes.count <= Self.recoveryCodeCount && (0...Self.mostAttempts).contains(attempts)
            && attemptedAt?.isValid ?? true
    }

    /// Counts an attempt. It is written before the code is compared: of codes that are tried at the same time, each is counted first.
    ///
    /// Returns the time until the next attempt may be made, if that is not now; then nothing is counted. Only those who know the password
    /// get here, so nobody else delays the owner.
    mutating func beginAttempt(at now: Timestamp) -> Duration? {
        if attempts >= Self.freeAttempts, let attemptedAt {
            let pause = min(Duration.seconds(60 << min(attempts - Self.freeAttempts, 6)), Self.longestWait)
            // A clock that was set back does not lengthen it.
            let wait = min(attemptedAt + pause - now, pause)
            if wait > .zero { return wait }
        }
        attempts = min(attempts + 1, Self.mostAttempts)
        attemptedAt = now
        return nil
    }

    /// Turns it on with a first code. Returns the recovery codes, which are shown once; `nil` if the code is wrong or it is on.
    mutating func confirm(_ code: String, at now: Timestamp) -> [String]? {
        guard !isOn, useCode(code.removingUTF8(" ", "-"), at: now) else { return nil }
        let codes = (0..<Self.recoveryCodeCount).map { _ in RecoveryCode.new() }
        recoveryCodes = codes.map { KeyDigest(of: $0) }
        isOn = true
        return codes.map(RecoveryCode.shown)
    }

    /// Uses up the code, or the recovery code, and forgets the attempts. `nil` if it is wrong.
    mutating func use(_ code: String, at now: Timestamp) -> Factor? {
        guard isOn else { return nil }
        let code = code.removingUTF8(" ", "-").lowercasedASCII()
        let isCode = useCode(code, at: now)
        if !isCode {
            let digest = KeyDigest(of: code)
            guard let place = recoveryCodes.firstIndex(of: digest) else { return nil }
            recoveryCodes.remove(at: place)
        }
        attempts = 0
        return isCode ? .code : .recoveryCode
    }

    /// The step before and the one after are allowed: clocks differ, and typing takes time.
    private mutating func useCode(_ code: String, at now: Timestamp) -> Bool {
        guard let number = TOTP.number(code) else { return false }
        let step = TOTP.step(at: now)
        guard let used = (step - 1...step + 1).first(where: { $0 > lastStep && TOTP.code(secret, step: $0) == number }) else {
            return false
        }
        lastStep = used
        return true
    }

    fileprivate static func randomBytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255) } }
}

/// 120 random bits as 24 characters.
private enum RecoveryCode {
    static func new() -> String { Base32.encode(TOTPState.randomBytes(15)).lowercasedASCII() }

    /// In groups of four.
    static func shown(_ code: String) -> String {
        let bytes = Array(code.utf8)
        return stride(from: 0, to: bytes.count, by: 4).map { String(decoding: bytes[$0..<min($0 + 4, bytes.count)], as: UTF8.self) }
            .joined(separator: "-")
    }
}

/// What an authenticator app needs. It is shown once.
public struct TOTPSetup: Sendable, Equatable {
    /// In base32.
    public let secret: String
    /// `otpauth://…`, for a QR code.
    public let uri: String

    init(_ state: TOTPState, of email: EmailAddress) {
        secret = Base32.encode(state.secret)
        uri =
            "otpauth://totp/analytics:\(PercentEncoding.encode(email.text))?secret=\(secret)&issuer=analytics&algorithm=SHA1"
            + "&digits=\(TOTP.digits)&period=30"
    }
}
