/// A person who signs in.
public struct Account: Sendable, Equatable {
    /// A function of the address: 20 hexadecimal digits. One address has one account.
    public let id: String
    public let email: EmailAddress
    /// At most ``longestName`` bytes, may be empty.
    public var name: String
    /// Whether it is an owner of every project, and manages projects and accounts.
    public var isAdministrator: Bool
    /// At most ``maximumRoles``.
    public var roles: [ProjectID: Role]
    /// `nil` until an invitation is accepted, and with a provider only.
    public var password: PasswordHash?
    public var totp: TOTPState?
    /// Bound at the first sign-in with a provider.
    public var identity: ProviderIdentity?
    /// Sessions and invitations of another epoch are refused. 16 hexadecimal digits.
    public var epoch: String
    public var createdAt: Timestamp
    /// When it was disabled: it cannot sign in. `nil` if it can.
    public var disabledAt: Timestamp?

    public static let longestName = 100
    public static let maximumRoles = 1_000
    /// Bytes of the names of all projects in ``roles``, so that an account fits into a record.
    static let roleBytes = 40_000

    public init(
        email: EmailAddress, name: String = "", isAdministrator: Bool = false, roles: [ProjectID: Role] = [:],
        password: PasswordHash? = nil, totp: TOTPState? = nil, identity: ProviderIdentity? = nil, epoch: String, createdAt: Timestamp,
        disabledAt: Timestamp? = nil
    ) {
        id = Self.id(of: email)
        self.email = email
        self.name = name
        self.isAdministrator = isAdministrator
        self.roles = roles
        self.password = password
        self.totp = totp
        self.identity = identity
        self.epoch = epoch
        self.createdAt = createdAt
        self.disabledAt = disabledAt
    }

    public func role(in project: ProjectID) -> Role? { isAdministrator ? .owner : roles[project] }

    public static func id(of email: EmailAddress) -> String { digits(20, of: ["account", email.text]) }

    /// Of a new account, or to end all sessions and invitations of one.
    static func newEpoch(_ ids: IDGenerator) -> String { digits(16, of: ["epoch", ids.next()]) }

    private static func digits(_ count: Int, of parts: [String]) -> String {
        String(decoding: Digest.hexadecimal(of: parts).utf8.prefix(count), as: UTF8.self)
    }

    static func isName(_ text: String) -> Bool { text.utf8.count <= longestName && !FieldRules.hasControls(text) }

    static func areRoles(_ roles: [ProjectID: Role]) -> Bool {
        roles.count <= maximumRoles && roles.keys.reduce(0) { $0 + $1.name.utf8.count } <= roleBytes
    }

    /// Whether this service can have written it; otherwise the store is damaged.
    var isValid: Bool {
        Self.isName(name) && Self.areRoles(roles) && totp?.isValid ?? true && identity?.isValid ?? true && epoch.utf8.count == 16
            && createdAt.isValid && disabledAt?.isValid ?? true
    }
}

// MARK: As a record

extension Account {
    private struct Body: Codable {
        var email: String
        var name: String
        var administrator: Bool
        var roles: [String: Role]
        var password: PasswordHash?
        var totp: TOTPState?
        var identity: ProviderIdentity?
        var epoch: String
        var createdAt: Timestamp
        var disabledAt: Timestamp?
        /// Different in each record. A store takes a record that equals the stored one, so without it two equal changes at the same time
        /// would both succeed, such as the use of one code.
        var nonce: UInt64
    }

    /// `nil` if the account was removed.
    init?(_ record: Record) throws(StoreError) {
        guard !record.isRemovedAccount else { return nil }
        let body = try record.decoded(as: Body.self)
        guard let email = EmailAddress(body.email), email.text.equalsUTF8(body.email) else { throw record.damaged }
        var roles: [ProjectID: Role] = [:]
        for (name, role) in body.roles {
            guard let project = ProjectID(name) else { throw record.damaged }
            roles[project] = role
        }
        self.init(
            email: email, name: body.name, isAdministrator: body.administrator, roles: roles, password: body.password, totp: body.totp,
            identity: body.identity, epoch: body.epoch, createdAt: body.createdAt, disabledAt: body.disabledAt)
        guard isValid, id.equalsUTF8(record.id) else { throw record.damaged }
    }

    /// Throws if it is not valid.
    func record(revision: Int64) throws(StoreError) -> Record {
        guard isValid else {
            throw StoreError(.refused, operation: StoreOperation.writeRecord.rawValue, "the account '\(id)' is out of bounds")
        }
        return try Record(
            .account, id, revision: revision,
            json: Body(
                email: email.text, name: name, administrator: isAdministrator,
                roles: Dictionary(uniqueKeysWithValues: roles.map { ($0.key.name, $0.value) }), password: password, totp: totp,
                identity: identity, epoch: epoch, createdAt: createdAt, disabledAt: disabledAt, nonce: .random(in: 0...UInt64.max)))
    }
}

extension Record {
    /// How long what is left of an account stays: longer than a change can be on its way.
    private static let removedAccountLifetime: Duration = .seconds(30 * 86_400)

    /// Whether this is what is left of an account that was removed. Only such records of accounts expire.
    var isRemovedAccount: Bool { kind == .account && expiresAt != nil }

    /// What is left of the account when it is removed: its revisions go on if the address gets another account, so that changes of the
    /// earlier one that arrive late find another revision. `nil` if it is removed already.
    func removedAccount(at now: Timestamp) -> Record? {
        guard !isRemovedAccount else { return nil }
        return Record(
            kind: kind, id: id, revision: revision &+ 1, expiresAt: now + Self.removedAccountLifetime, body: Array("{}".utf8))
    }
}
