public import Logging

/// Makes, lists and changes accounts. Only administrators of the instance may: a ``KeyRefusal`` is thrown for other callers.
public struct Accounts: Sendable {
    let store: any RecordStore & KeyStore & ProjectStore
    private let hasher: any PasswordHasher
    let clock: WallClock
    let elapsed: ElapsedClock
    private let ids: IDGenerator
    let audit: AuditLog
    private let logger: Logger

    /// Accounts of a store. Two that are made at the same moment may exceed it.
    public static let maximum = 10_000
    /// How long the token of ``invite(_:name:isAdministrator:roles:by:)`` and ``reset(_:by:)`` can be used.
    public static let invitationLifetime = Invitation.lifetime
    /// Records that are read at a time: each may have 64 KiB.
    static let page = 200

    public init(
        store: any RecordStore & KeyStore & ProjectStore, hasher: any PasswordHasher, clock: WallClock, elapsed: ElapsedClock = .system,
        ids: IDGenerator, audit: AuditLog, logger: Logger
    ) {
        self.store = store
        self.hasher = hasher
        self.clock = clock
        self.elapsed = elapsed
        self.ids = ids
        self.audit = audit
        self.logger = logger
    }

    // MARK: Making

    /// An account that can sign in. Closes anonymous access for good.
    public func create(
        _ email: EmailAddress, password: String, name: String = "", isAdministrator: Bool, by administrator: Administrator
    ) async throws -> Account {
        if let fault = PasswordRule.fault(in: password, of: email) { throw AccountError.weakPassword(fault) }
        var account = Account(
            email: email, name: name, isAdministrator: isAdministrator, epoch: Account.newEpoch(ids), createdAt: clock.now())
        let revision = try await check(account, by: administrator)
        account.password = try await hasher.hash(password)
        try await add(account, revision, .accountCreate, by: administrator)
        return account
    }

    /// An account without a password, and a token that sets one, for 7 days. The token is shown once; its bearer is that person to the
    /// service. Closes anonymous access for good.
    public func invite(
        _ email: EmailAddress, name: String, isAdministrator: Bool, roles: [ProjectID: Role], by administrator: Administrator
    ) async throws -> (account: Account, token: String) {
        let account = Account(
            email: email, name: name, isAdministrator: isAdministrator, roles: roles, epoch: Account.newEpoch(ids), createdAt: clock.now())
        let revision = try await check(account, by: administrator)
        try await add(account, revision, .accountInvite, by: administrator)
        return (account, try await invitation(to: account))
    }

    /// A new token as of ``invite(_:name:isAdministrator:roles:by:)``. The password, the second factor, the identity of a provider, earlier
    /// tokens and all sessions end at once. `nil` if there is no such account.
    public func reset(_ id: String, by administrator: Administrator) async throws -> String? {
        try await administrator.check(in: store, for: nil, at: clock.now())
        guard let known = try await account(id) else { return nil }
        try await audit.record(.accountReset, target: known.email.text, by: administrator)
        let changed = try await store.changeAccount(id, elapsed: elapsed) { account in
            account.password = nil
            account.totp = nil
            account.identity = nil
            account.epoch = Account.newEpoch(ids)
        }
        guard let changed else { return nil }
        return try await invitation(to: changed)
    }

    /// Returns the revision of its record.
    private func check(_ account: Account, by administrator: Administrator) async throws -> Int64 {
        guard Account.isName(account.name) else { throw AccountError.invalidName }
        guard Account.areRoles(account.roles) else { throw AccountError.tooManyRoles }
        try await administrator.check(in: store, for: nil, at: clock.now())
        for project in account.roles.keys.sorted() {
            guard try await store.hasRecord(of: project, at: clock.now()) else { throw AccountError.unknownProject(project) }
        }
        let old = try await store.record(.account, account.id)
        guard old?.isRemovedAccount ?? true else { throw AccountError.exists(account.email) }
        guard try await count() < Self.maximum else { throw AccountError.tooMany }
        return (old?.revision ?? 0) &+ 1
    }

    private func add(_ account: Account, _ revision: Int64, _ action: AuditAction, by administrator: Administrator) async throws {
        try await audit.record(action, target: account.email.text, details: account.details, by: administrator)
        try await tellRoles(.memberSet, of: account, "account invited", by: administrator)
        // First: otherwise a failure between the two would leave the service open although it has an account.
        try await store.closeAnonymousAccess(at: clock.now())
        guard try await store.write(try account.record(revision: revision)) else { throw AccountError.exists(account.email) }
    }

    /// Tells of each role in the log of its project, whose owners see no other entry about the account.
    private func tellRoles(
        _ action: AuditAction, of account: Account, _ reason: String, by administrator: Administrator
    ) async throws(StoreError) {
        for (project, role) in account.roles.sorted(by: { $0.key < $1.key }) {
            try await audit.record(
                action, project: project, target: account.email.text, details: "role: \(role.rawValue); \(reason)", by: administrator)
        }
    }

    private func invitation(to account: Account) async throws -> String {
        let token = InvitationToken()
        let invitation = Invitation(token.digest, to: account, at: clock.now())
        guard try await store.write(try invitation.record()) else { throw AccountError.conflict }
        return token.text
    }

    // MARK: Reading

    /// By id, the greatest first; only ids below `id`. Accounts that cannot be read are left out.
    public func list(before id: String?, limit: Int) async throws(StoreError) -> [Account] {
        try await accounts(before: id, limit: limit) { _ in true }
    }

    public func account(_ id: String) async throws(StoreError) -> Account? {
        try await store.account(id)
    }

    public func account(_ email: EmailAddress) async throws(StoreError) -> Account? {
        try await account(Account.id(of: email))
    }

    /// By id, the greatest first. One that cannot be read is left out, so that it does not hide the others.
    func accounts(
        before id: String? = nil, limit: Int = .max, where isWanted: (Account) -> Bool
    ) async throws(StoreError) -> [Account] {
        var accounts: [Account] = []
        var damaged: [String] = []
        try await eachRecord(before: id) { record in
            do {
                if let account = try Account(record), isWanted(account) { accounts.append(account) }
            } catch {
                damaged.append(record.id)
            }
            return accounts.count < limit
        }
        if !damaged.isEmpty {
            logger.warning(
                "Accounts that cannot be read are left out of a list",
                metadata: ["accounts": "\(damaged.count)", "first": "\(damaged[0])"])
        }
        return accounts
    }

    private func count() async throws(StoreError) -> Int {
        var count = 0
        try await eachRecord { _ in
            count += 1
            return true
        }
        return count
    }

    /// Calls `body` with the record of each account, the greatest ids first, until it returns false.
    private func eachRecord(before id: String? = nil, _ body: (Record) -> Bool) async throws(StoreError) {
        var last = id
        while true {
            let page = try await store.records(.account, of: nil, before: last, limit: Self.page)
            for record in page where !record.isRemovedAccount {
                guard body(record) else { return }
            }
            guard page.count == Self.page else { return }
            last = page.last?.id
        }
    }

    // MARK: Changing

    /// `nil` if there is no such account.
    public func change(_ id: String, _ change: AccountChange, by administrator: Administrator) async throws -> Account? {
        if let name = change.name { guard Account.isName(name) else { throw AccountError.invalidName } }
        let now = clock.now()
        try await administrator.check(in: store, for: nil, at: now)
        guard let known = try await account(id) else { return nil }
        let change = change.without(known)
        guard change != AccountChange() else { return known }
        try await audit.record(.accountChange, target: known.email.text, details: change.details, by: administrator)
        switch change.isDisabled {
        case true?: try await tellRoles(.memberRemove, of: known, "account disabled", by: administrator)
        case false?: try await tellRoles(.memberSet, of: known, "account enabled", by: administrator)
        case nil: break
        }
        return try await store.changeAccount(id, elapsed: elapsed) { account in
            account.name = change.name ?? account.name
            account.isAdministrator = change.isAdministrator ?? account.isAdministrator
            switch change.isDisabled {
            case true? where account.disabledAt == nil:
                account.disabledAt = now
                account.epoch = Account.newEpoch(ids)
            case false?: account.disabledAt = nil
            default: break
            }
        }
    }

    /// Whether there was such an account; it may be one that cannot be read. Its sessions are refused from now on.
    public func remove(_ id: String, by administrator: Administrator) async throws -> Bool {
        let now = clock.now()
        try await administrator.check(in: store, for: nil, at: now)
        guard let record = try await store.record(.account, id), !record.isRemovedAccount else { return false }
        let known = try? Account(record)
        try await audit.record(.accountRemove, target: known?.email.text ?? id, by: administrator)
        if let known { try await tellRoles(.memberRemove, of: known, "account removed", by: administrator) }
        return try await store.replaceAccount(id, elapsed: elapsed) { $0.removedAccount(at: now) } != nil
    }
}

extension Account {
    /// What is made, for the audit log.
    fileprivate var details: String {
        var parts = isAdministrator ? ["administrator"] : []
        if !name.isEmpty { parts.append("name: \(name.quoted)") }
        parts += roles.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.rawValue)" }
        return parts.joined(separator: "; ")
    }
}
