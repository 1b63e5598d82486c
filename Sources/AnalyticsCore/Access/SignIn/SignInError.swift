/// Why nobody was signed in, or what people sign in with was not changed.
public enum SignInError: Error, Sendable, Equatable {
    /// No such account, a wrong password, a disabled account, or one without a password.
    case wrongCredentials
    /// The password was right; a code of the second factor is needed, too.
    case codeRequired
    case wrongCode
    case tooManyAttempts(retryAfter: Duration)
    /// Too many passwords are being hashed.
    case busy
    /// No such token, or one that was used, has expired, or was replaced.
    case invalidInvitation
    /// ``PasswordRule/fault(in:of:)``.
    case weakPassword(String)
    /// The account signs in with a provider only.
    case noPassword
    /// The second factor is on: it has to be removed first.
    case secondFactorOn

    /// Whether it counts as a guess.
    var isFailure: Bool { self == .wrongCredentials || self == .wrongCode }
}
