/// Who changes something. Shown in lists and in the audit log.
public enum ChangeAuthor: Sendable, Equatable {
    case command
    /// The bearer of `ADMIN_TOKEN`.
    case administrator
    /// A caller without a key, before the first key or account was made.
    case anonymous
    /// A caller with the key of this id.
    case key(String)
    /// The id of an account, and that of the session in which it acts.
    case account(String, session: String)

    public var text: String {
        switch self {
        case .command: "command line"
        case .administrator: "administrator"
        case .anonymous: "anonymous"
        case .key(let id): id
        case .account(let id, _): "account \(id)"
        }
    }
}

extension Administrator {
    /// Asks the store once more whether the caller manages the project; the instance if it is `nil`. Its request may have begun before its
    /// key was revoked, before the account lost its role, or before the first key or account was made. Throws a ``KeyRefusal`` if it does
    /// not.
    func check(in store: any KeyStore & RecordStore, for project: ProjectID?, at now: Timestamp) async throws {
        guard project.map(manages) ?? isOfInstance else { throw KeyRefusal.unknown }
        switch actor {
        case .command, .administrator: break
        case .anonymous: guard try await !store.isAnonymousAccessClosed() else { throw KeyRefusal.unknown }
        case .key(let id):
            guard let key = try await store.key(id) else { throw KeyRefusal.unknown }
            if let refusal = key.refusal(at: now) { throw refusal }
        case .account(let id, let session):
            guard let account = try await store.account(id, in: session, at: now),
                project.map({ account.role(in: $0) == .owner }) ?? account.isAdministrator
            else { throw KeyRefusal.unknown }
        }
    }
}

extension RecordStore {
    /// The account, if the session is one of its own and has not ended.
    fileprivate func account(_ id: String, in session: String, at now: Timestamp) async throws(StoreError) -> Account? {
        guard let record = try await record(.session, session), let account = try await account(id) else { return nil }
        let known = try Session(record)
        guard known.account.equalsUTF8(id), known.epoch.equalsUTF8(account.epoch), now < known.expiresAt, account.disabledAt == nil else {
            return nil
        }
        return account
    }
}
