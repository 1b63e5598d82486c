/// Members of projects. Owners of a project may change them, as administrators of the instance may.
extension Accounts {
    /// The account with the role; it replaces an earlier one.
    ///
    /// `nil` if there is no such account. To an owner, an account that was invited and cannot sign in yet is none, unless it is a member
    /// already. Throws ``AccountError/unknownProject(_:)`` also for a project that the caller does not manage, and a ``KeyRefusal`` if the
    /// store says that it does no longer.
    public func setRole(
        _ role: Role, of email: EmailAddress, in project: ProjectID, by administrator: Administrator
    ) async throws -> Account? {
        let now = clock.now()
        guard administrator.manages(project), try await store.hasRecord(of: project, at: now) else {
            throw AccountError.unknownProject(project)
        }
        try await administrator.check(in: store, for: project, at: now)
        guard let known = try await account(email), known.canSignIn || known.roles[project] != nil || administrator.isOfInstance else {
            // The answer tells an owner who has an account.
            try await audit.record(.memberSet, project: project, target: email.text, details: "no such account", by: administrator)
            return nil
        }
        guard known.roles[project] != role else { return known }
        try Self.check(role, in: project, of: known)
        try await audit.record(.memberSet, project: project, target: email.text, details: "role: \(role.rawValue)", by: administrator)
        return try await store.changeAccount(known.id, elapsed: elapsed) { account in
            try Self.check(role, in: project, of: account)
            account.roles[project] = role
        }
    }

    private static func check(_ role: Role, in project: ProjectID, of account: Account) throws(AccountError) {
        guard Account.areRoles(account.roles.merging([project: role]) { $1 }) else { throw .tooManyRoles }
    }

    /// Whether the account had a role in the project. False too if the caller does not manage the project. Throws a ``KeyRefusal`` if the
    /// store says that it does no longer.
    public func removeRole(of id: String, in project: ProjectID, by administrator: Administrator) async throws -> Bool {
        guard administrator.manages(project) else { return false }
        try await administrator.check(in: store, for: project, at: clock.now())
        guard let known = try await account(id), let role = known.roles[project] else { return false }
        try await audit.record(
            .memberRemove, project: project, target: known.email.text, details: "role: \(role.rawValue)", by: administrator)
        return try await store.changeAccount(id, elapsed: elapsed) { $0.roles[project] = nil } != nil
    }

    /// By address. Administrators of the instance are listed only if they have a role. Accounts that cannot be read are left out.
    public func members(of project: ProjectID) async throws(StoreError) -> [(account: Account, role: Role)] {
        var members: [(account: Account, role: Role)] = []
        for account in try await accounts(where: { $0.roles[project] != nil }) {
            if let role = account.roles[project] { members.append((account, role)) }
        }
        return members.sorted { BytewiseString($0.account.email.text) < BytewiseString($1.account.email.text) }
    }
}

extension Account {
    /// Whether it has something to sign in with.
    fileprivate var canSignIn: Bool { password != nil || identity != nil }
}
