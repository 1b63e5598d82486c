internal import AnalyticsCore
internal import HTTPTypes

extension Problem {
    /// The same for a text that is no token, and for a session that has ended or never was.
    init(_ refusal: SessionRefusal) {
        self =
            switch refusal {
            case .unknown: Problem(.invalidSession, "The session has ended. Sign in again with POST /api/v1/auth/sign-in.")
            case .tooManyUnknown(let retryAfter):
                .tooManyAttempts("Too many sessions that this service does not know were sent. Sign in again.", retryAfter)
            case .unavailable:
                Problem(.storeUnavailable, "The store did not answer in time, and sessions are read there. Send this again in a moment.")
            }
        self = closingConnection()
    }

    init(_ error: SignInError) {
        self =
            switch error {
            case .wrongCredentials: Problem(.wrongCredentials, "The password is wrong, or no account that can sign in has this address.")
            case .codeRequired:
                Problem(
                    .codeRequired,
                    "Send the code of the authenticator app, or a recovery code, as 'code', with the address and the password.")
            case .wrongCode: Problem(.wrongCode, "The code is wrong, has expired or was used. Send the next one.")
            case .tooManyAttempts(let retryAfter):
                .tooManyAttempts("There were too many attempts for this account or from this network. Try again later.", retryAfter)
            case .busy: .tooManySignIns
            case .invalidInvitation:
                Problem(
                    .invitationNotFound,
                    "The token is unknown, was used or has expired. An administrator of the instance makes another one.")
            case .weakPassword(let fault): .weakPassword(fault)
            case .noPassword:
                Problem(.invalidParameter, "The account has no password. An administrator of the instance makes a token that sets one.")
            case .secondFactorOn:
                Problem(.invalidParameter, "The account has a second factor already. Remove it first, with DELETE /api/v1/auth/totp.")
            }
    }

    init(_ error: AccountError) {
        self =
            switch error {
            case .exists(let email): Problem(.accountExists, "There is an account with the address '\(email.text)' already.")
            case .invalidName: QueryParameters.invalid("name", "may have \(Account.longestName) bytes, without control characters.")
            case .tooManyRoles: Problem(.invalidParameter, "An account may have \(Account.maximumRoles) roles.")
            case .tooMany: Problem(.invalidParameter, "There are \(Accounts.maximum) accounts, which is the maximum. Remove some of them.")
            case .unknownProject: .projectNotFound
            case .conflict: Problem(.changedMeanwhile, "The account was changed by others at the same time. Send this again.")
            case .weakPassword(let fault): .weakPassword(fault)
            }
    }

    init(_ error: IdentityProviderError) {
        self =
            switch error.code {
            case .unavailable:
                Problem(.providerUnavailable, "The sign-in provider is down, or did not answer as it should. Try again in a moment.")
            case .refused:
                Problem(
                    .signInRefused,
                    "The sign-in provider has signed nobody in, or its answer cannot be accepted. Begin again with GET /api/v1/auth/oidc. "
                        + "The log of the service says more.")
            case .unverified:
                Problem(.signInRefused, "The sign-in provider has not verified your e-mail address. Verify it there, then begin again.")
            }
    }

    private static func weakPassword(_ fault: String) -> Problem { Problem(.weakPassword, "Choose another password: \(fault).") }

    static var tooManySignIns: Problem {
        Problem(.overloaded, "Too many passwords are being checked at the moment. Send this again in a moment.")
    }

    static func tooManyAttempts(_ detail: String, _ retryAfter: Duration) -> Problem {
        var problem = Problem(.tooManyAttempts, detail)
        problem.headers[.retryAfter] = String(RateHeaders.seconds(retryAfter))
        return problem
    }
}
