public import ServiceLifecycle

/// Signs people in and out, and changes what they sign in with.
///
/// Nobody learns who has an account: an address without one, a disabled account, and one without a password cost the same hash as any other
/// and have the same error.
public struct SignIn: Sendable {
    let store: any RecordStore
    let directory: SessionDirectory
    let clock: WallClock
    let attempts: AttemptGate
    let places: HashPlaces
    let failures: FailedSignIns
    private let hasher: any PasswordHasher
    private let ids: IDGenerator
    private let audit: AuditLog

    /// Sessions of an account. A further one ends the oldest.
    public static let maximumSessions = 100

    /// - Parameter sessions: Those of this process, which forget at once what is ended here.
    public init(
        store: any RecordStore, hasher: any PasswordHasher, sessions: SessionDirectory, clock: WallClock, elapsed: ElapsedClock = .system,
        ids: IDGenerator, audit: AuditLog
    ) {
        self.store = store
        directory = sessions
        self.clock = clock
        attempts = AttemptGate(elapsed: elapsed)
        places = HashPlaces(elapsed: elapsed)
        failures = FailedSignIns(audit: audit)
        self.hasher = hasher
        self.ids = ids
        self.audit = audit
    }

    /// What has to run beside it, and to end after it.
    public var background: [any Service] { [directory, failures] }

    // MARK: Signing in

    /// - Parameter code: Of the second factor, or a recovery code. Asked for only after the password was right.
    public func signIn(_ email: String, _ password: String, code: String?, from client: Client) async throws -> NewSession {
        try checkLength(of: password)
        let id = EmailAddress(email).map { Account.id(of: $0) }
        let place = AccountPlace(account: id ?? "", address: client.address)
        return try await attempts(place, isFamiliar: directory.isFamiliar(place)) {
            // The store is read in this place: whether the service is too busy must not depend on the account.
            let (known, isRight) = try await places(place) { () async throws -> (Account?, Bool) in
                let known = try await find(id)
                let isRight = try await isPassword(password, of: known)
                return (known, isRight)
            }
            guard let account = known, isRight else {
                if let known { noteFailure(of: known, "wrong password", from: client) }
                throw SignInError.wrongCredentials
            }
            let now = clock.now()
            let factor = try await checkCode(code, of: account, at: now, from: client)
            await rehash(password, of: account, from: client)
            let new = newSession(of: account, epoch: account.epoch, .password, from: client)
            try await note(.signIn, new.signedIn, factor.map { "password and \($0.rawValue)" } ?? "password", from: client)
            if let code, factor != nil { try await use(code, of: account, at: now) }
            try await write(new)
            return new
        }
    }

    /// With an identity of a provider that has verified the address. There must be an account with this address. At the first time the
    /// identity is bound to it, and its sessions and invitations end; later, another identity is refused.
    public func signIn(
        _ identity: ProviderIdentity, verified email: EmailAddress, from client: Client
    ) async throws -> NewSession {
        guard var account = try await store.account(Account.id(of: email)) else { throw SignInError.wrongCredentials }
        guard account.disabledAt == nil, identity.isValid, account.identity ?? identity == identity else {
            noteFailure(of: account, "provider", from: client)
            throw SignInError.wrongCredentials
        }
        let isFirst = account.identity == nil
        let new = newSession(of: account, epoch: isFirst ? newEpoch() : account.epoch, .oidc, from: client)
        try await note(.signIn, new.signedIn, "provider", from: client)
        if isFirst {
            let details = "issuer: \(identity.issuer.quoted); subject: \(identity.subject.quoted)"
            try await note(.identityBind, new.signedIn, details, from: client)
            // The new epoch ends invitations, and a password that the bearer of one has set goes: from now on the identity is the person.
            account = try await change(account) { account in
                account.identity = identity
                (account.password, account.totp) = (nil, nil)
                account.epoch = new.session.epoch
            }
            directory.forgetSessions(of: account.id)
        }
        try await write(new)
        return NewSession(token: new.token, session: new.session, account: account)
    }

    /// Sets the password of an account with the token of an invitation or a reset, and signs in. All other sessions end.
    ///
    /// Throws ``AccountError/invalidName`` for a name that is not allowed.
    /// - Parameter name: `nil` to keep it.
    public func accept(_ token: String, password: String, name: String?, from client: Client) async throws -> NewSession {
        guard let digest = InvitationToken(token)?.digest else { throw SignInError.invalidInvitation }
        try attempts.checkInvitations(from: client)
        guard let record = try await store.record(.invitation, Invitation.id(of: digest)) else { throw SignInError.invalidInvitation }
        let invitation = try Invitation(record)
        guard let account = try await store.account(invitation.account), invitation.admits(digest, to: account, at: clock.now()) else {
            throw SignInError.invalidInvitation
        }
        try checkNew(password, of: account)
        if let name { guard Account.isName(name) else { throw AccountError.invalidName } }

        let hash = try await hashed(password, of: account, from: client)
        let new = newSession(of: account, epoch: newEpoch(), .invitation, from: client)
        try await note(.invitationAccept, new.signedIn, from: client)
        // Of two that use one token at the same time, one finds the epoch of the invitation.
        let changed = try await change(account, orElse: SignInError.invalidInvitation) { account in
            account.name = name ?? account.name
            account.password = hash
            account.totp = nil
            account.epoch = new.session.epoch
        }
        directory.forgetSessions(of: account.id)
        try await store.removeRecords(.invitation, [record.id])
        try await write(new)
        return NewSession(token: new.token, session: new.session, account: changed)
    }

    // MARK: Passwords and codes

    private func find(_ id: String?) async throws(StoreError) -> Account? {
        guard let id else { return nil }
        return try await store.account(id)
    }

    /// Costs one hash in any case.
    private func isPassword(_ password: String, of account: Account?) async throws(SignInError) -> Bool {
        let hash = account?.disabledAt == nil ? account?.password : nil
        let isRight = try await verify(password, hash ?? .dummy)
        return isRight && hash != nil
    }

    /// Nobody can have set a longer one. It is refused before anything is counted, because it costs no hash.
    func checkLength(of password: String) throws(SignInError) {
        guard password.utf8.count <= PasswordRule.longest else { throw .wrongCredentials }
    }

    /// In a place of ``places``.
    func verify(_ password: String, _ hash: PasswordHash) async throws(SignInError) -> Bool {
        do throws(HasherBusy) {
            return try await hasher.verify(password, hash)
        } catch {
            throw SignInError.busy
        }
    }

    func checkNew(_ password: String, of account: Account) throws(SignInError) {
        if let fault = PasswordRule.fault(in: password, of: account.email) { throw .weakPassword(fault) }
    }

    func hashed(_ password: String, of account: Account, from client: Client) async throws -> PasswordHash {
        try await places(AccountPlace(account: account.id, address: client.address)) {
            do throws(HasherBusy) {
                return try await hasher.hash(password)
            } catch {
                throw SignInError.busy
            }
        }
    }

    /// Hashes a right password again if its parameters are of earlier times. If that fails, the next sign-in does it.
    private func rehash(_ password: String, of account: Account, from client: Client) async {
        guard let old = account.password, old.needsRehash, let new = try? await hashed(password, of: account, from: client) else { return }
        _ = try? await change(account) { account in
            if account.password == old { account.password = new }
        }
    }

    /// `nil` if none is asked for. The code is not used up: that comes after the entry of the audit log.
    private func checkCode(
        _ code: String?, of account: Account, at now: Timestamp, from client: Client
    ) async throws -> TOTPState.Factor? {
        guard account.totp?.isOn == true else { return nil }
        guard let code, !code.isEmpty else { throw SignInError.codeRequired }
        var tried = try await change(account) { account in
            if let wait = account.totp?.beginAttempt(at: now) { throw SignInError.tooManyAttempts(retryAfter: wait) }
        }
        guard let factor = tried.totp?.use(code, at: now) else {
            noteFailure(of: account, "wrong code", from: client)
            throw SignInError.wrongCode
        }
        return factor
    }

    /// Of two that use one code at the same time, the second finds it used.
    private func use(_ code: String, of account: Account, at now: Timestamp) async throws {
        _ = try await change(account) { account in
            guard account.totp?.use(code, at: now) != nil else { throw SignInError.wrongCode }
        }
    }

    // MARK: Accounts and sessions

    /// Changes the account, if its epoch is still the one that was read and it is not disabled.
    func change(
        _ account: Account, orElse error: any Error = SignInError.wrongCredentials, _ body: (inout Account) throws -> Void
    ) async throws -> Account {
        let changed = try await store.changeAccount(account.id) { current in
            guard current.disabledAt == nil, current.epoch.equalsUTF8(account.epoch) else { throw error }
            try body(&current)
        }
        guard let changed else { throw error }
        return changed
    }

    func newEpoch() -> String { Account.newEpoch(ids) }

    /// Not written yet.
    func newSession(of account: Account, epoch: String, _ method: Session.Method, from client: Client) -> NewSession {
        let token = SessionToken()
        return NewSession(
            token: token, session: Session(token, of: account, epoch: epoch, method, from: client, at: clock.now()), account: account)
    }

    func write(_ new: NewSession) async throws(StoreError) {
        let (session, now) = (new.session, clock.now())
        let others = try await store.records(.session, of: session.account, before: nil, limit: Record.longestList)
        let going = others.compactMap { try? Session($0) }.filter { $0.expiresAt > now }.sorted { $0.createdAt < $1.createdAt }
        let kept = Set(going.suffix(Self.maximumSessions - 1).map(\.id))
        let ended = others.map(\.id).filter { !kept.contains($0) }
        if !ended.isEmpty { try await store.removeRecords(.session, ended) }
        guard try await store.write(try session.record(revision: 1)) else {
            throw StoreError(.refused, operation: StoreOperation.writeRecord.rawValue, "another session has the id '\(session.id)'")
        }
        directory.expect(session)
    }

    // MARK: The audit log

    func note(_ action: AuditAction, _ signedIn: SignedIn, _ details: String = "", from client: Client) async throws(StoreError) {
        try await audit.record(action, target: signedIn.account.email.text, details: details, by: signedIn.actor, from: client.address)
    }

    func noteFailure(of account: Account, _ details: String, by actor: ChangeAuthor = .anonymous, from client: Client) {
        failures.add(audit.entry(.signInFailed, target: account.email.text, details: details, by: actor, from: client.address))
    }
}
