// What a person who has signed in does with their own account. Throws ``SessionRefusal/unknown`` if the session has ended meanwhile.
extension SignIn {
    /// - Parameter everywhere: All sessions of the account end.
    public func signOut(_ signedIn: SignedIn, everywhere: Bool, from client: Client) async throws {
        let account = try await everywhere ? account(of: signedIn) : nil
        try await note(.signOut, signedIn, everywhere ? "everywhere" : "", from: client)
        if let account {
            let epoch = newEpoch()
            _ = try await change(account, orElse: SessionRefusal.unknown) { $0.epoch = epoch }
            directory.forgetSessions(of: account.id)
        }
        try await store.removeRecords(.session, [signedIn.session.id])
        directory.forget(signedIn.session.id)
    }

    /// All other sessions end; this one continues with a new token.
    public func changePassword(
        _ signedIn: SignedIn, current: String, new: String, from client: Client
    ) async throws -> NewSession {
        let account = try await account(of: signedIn)
        try await check(current, of: account, signedIn, from: client)
        try checkNew(new, of: account)
        let hash = try await hashed(new, of: account, from: client)
        let next = newSession(of: account, epoch: newEpoch(), signedIn.session.method, from: client)
        try await note(.passwordChange, signedIn, from: client)
        let changed = try await change(account) { account in
            account.password = hash
            account.epoch = next.session.epoch
        }
        directory.forgetSessions(of: account.id)
        try await write(next)
        return NewSession(token: next.token, session: next.session, account: changed)
    }

    /// Those that have not ended, newest first.
    public func sessions(of account: String) async throws(StoreError) -> [Session] {
        guard let account = try await store.account(account), account.disabledAt == nil else { return [] }
        let now = clock.now()
        let all = try await store.records(.session, of: account.id, before: nil, limit: Record.longestList).compactMap { try? Session($0) }
        return all.filter { $0.expiresAt > now && $0.epoch.equalsUTF8(account.epoch) }.sorted { $0.createdAt > $1.createdAt }
    }

    // MARK: The second factor

    /// A new secret, which is asked for at sign-ins once a code of it is confirmed. Another one that is not confirmed is replaced.
    ///
    /// A session is not enough: who has found one must not shut out its owner. An account that signs in with a provider only has the
    /// second factor there.
    public func beginTOTP(_ signedIn: SignedIn, password: String, from client: Client) async throws -> TOTPSetup {
        let account = try await account(of: signedIn)
        try await check(password, of: account, signedIn, from: client)
        let totp = TOTPState.new()
        _ = try await change(account) { account in
            guard account.totp?.isOn != true else { throw SignInError.secondFactorOn }
            account.totp = totp
        }
        return TOTPSetup(totp, of: account.email)
    }

    /// Recovery codes, which are shown once: each stands for a code, once.
    public func confirmTOTP(_ signedIn: SignedIn, code: String, from client: Client) async throws -> [String] {
        let account = try await account(of: signedIn)
        guard account.totp?.isOn != true else { throw SignInError.secondFactorOn }
        let now = clock.now()
        return try await attempts(AccountPlace(account: account.id, address: client.address), isFamiliar: true) {
            var tried = account.totp
            guard tried?.confirm(code, at: now) != nil else { throw SignInError.wrongCode }
            try await note(.totpOn, signedIn, from: client)
            var codes: [String] = []
            _ = try await change(account) { account in
                guard let confirmed = account.totp?.confirm(code, at: now) else { throw SignInError.wrongCode }
                codes = confirmed
            }
            return codes
        }
    }

    /// A session is not enough: who has found one must not remove the second factor.
    public func removeTOTP(_ signedIn: SignedIn, password: String, from client: Client) async throws {
        let account = try await account(of: signedIn)
        try await check(password, of: account, signedIn, from: client)
        guard account.totp != nil else { return }
        try await note(.totpOff, signedIn, from: client)
        _ = try await change(account) { $0.totp = nil }
    }

    /// As the store has it: the session may have been read some seconds ago.
    private func account(of signedIn: SignedIn) async throws -> Account {
        guard try await store.record(.session, signedIn.session.id) != nil, let account = try await store.account(signedIn.account.id),
            account.disabledAt == nil, account.epoch.equalsUTF8(signedIn.session.epoch)
        else { throw SessionRefusal.unknown }
        return account
    }

    private func check(_ password: String, of account: Account, _ signedIn: SignedIn, from client: Client) async throws {
        guard let hash = account.password else { throw SignInError.noPassword }
        try checkLength(of: password)
        let place = AccountPlace(account: account.id, address: client.address)
        try await attempts(place, isFamiliar: true) {
            guard try await places(place, { try await verify(password, hash) }) else {
                noteFailure(of: account, "wrong password in a session", by: signedIn.actor, from: client)
                throw SignInError.wrongCredentials
            }
        }
    }
}
