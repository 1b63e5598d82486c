internal import AnalyticsJSON

/// What is told of in the audit log. Another version may have told of others.
public struct AuditAction: Sendable, Hashable {
    public let rawValue: String

    init(_ rawValue: String) {
        self.rawValue = rawValue
    }

    public static let projectCreate = AuditAction("project.create")
    public static let projectChange = AuditAction("project.change")
    public static let projectArchive = AuditAction("project.archive")
    public static let projectRestore = AuditAction("project.restore")
    public static let keyCreate = AuditAction("key.create")
    public static let keyRotate = AuditAction("key.rotate")
    public static let keyRevoke = AuditAction("key.revoke")
    public static let accountCreate = AuditAction("account.create")
    public static let accountInvite = AuditAction("account.invite")
    public static let accountChange = AuditAction("account.change")
    public static let accountRemove = AuditAction("account.remove")
    public static let accountReset = AuditAction("account.reset")
    public static let memberSet = AuditAction("member.set")
    public static let memberRemove = AuditAction("member.remove")
    public static let signIn = AuditAction("sign-in")
    public static let signInFailed = AuditAction("sign-in.failed")
    public static let signOut = AuditAction("sign-out")
    public static let passwordChange = AuditAction("password.change")
    public static let invitationAccept = AuditAction("invitation.accept")
    public static let identityBind = AuditAction("identity.bind")
    public static let totpOn = AuditAction("totp.on")
    public static let totpOff = AuditAction("totp.off")
    public static let eraseStart = AuditAction("erasure.create")
    /// Of an entry that cannot be read. Never written.
    static let unreadable = AuditAction("unreadable")
}

/// Who did what, when, from where.
public struct AuditEntry: Sendable, Equatable {
    /// Later entries have greater ids (bytewise).
    public var id: String
    public var time: Timestamp
    /// ``ChangeAuthor/text``.
    public var actor: String
    public var action: AuditAction
    /// `nil` if it is about no project.
    public var project: ProjectID?
    /// What was changed: the id of a key, the name of a project, the address of an account.
    public var target: String
    /// Never a secret. Clipped to ``longestDetails`` bytes.
    public var details: String
    /// The client's; `nil` for commands.
    public var address: String?

    public static let longestDetails = 1_000
    private static let longestTarget = 300
    private static let longestAddress = 100

    /// Texts that are too long are clipped.
    public init(
        id: String, time: Timestamp, actor: String, action: AuditAction, project: ProjectID? = nil, target: String = "",
        details: String = "", address: String? = nil
    ) {
        self.id = id
        self.time = time
        self.actor = actor
        self.action = action
        self.project = project
        self.target = target.clipped(to: Self.longestTarget)
        self.details = details.clipped(to: Self.longestDetails)
        self.address = address?.clipped(to: Self.longestAddress)
    }
}

// MARK: As a record

extension AuditEntry {
    private struct Body: Codable {
        var time: Timestamp
        var actor: String
        var action: String
        var target: String
        var details: String
        var address: String?
    }

    /// One that cannot be read has the action ``AuditAction/unreadable``, so that it does not hide the others.
    init(_ record: Record) {
        let project = ProjectID(record.owner)
        guard let body = try? record.decoded(as: Body.self), body.time.isValid else {
            let time = max((record.expiresAt ?? .earliest) - AuditLog.kept, .earliest)
            self.init(id: record.id, time: time, actor: "", action: .unreadable, project: project)
            return
        }
        self.init(
            id: record.id, time: body.time, actor: body.actor, action: AuditAction(body.action), project: project, target: body.target,
            details: body.details, address: body.address)
    }

    /// The owner is the project, by which entries are listed.
    func record(expiresAt: Timestamp) throws(StoreError) -> Record {
        try Record(
            .audit, id, owner: project?.name ?? "", expiresAt: expiresAt,
            json: Body(
                time: time, actor: actor, action: action.rawValue, target: target, details: details, address: address))
    }
}

extension String {
    /// As a string of JSON: in details, a name cannot look like what stands beside it.
    var quoted: String {
        var writer = JSONWriter()
        writer.string(self)
        return writer.text
    }
}
