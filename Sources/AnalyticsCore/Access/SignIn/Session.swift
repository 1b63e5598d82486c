/// What begins with a sign-in. It ends when it is signed out, with the account's epoch, after ``longest``, and after ``longestPause``
/// without use.
public struct Session: Sendable, Equatable, Codable {
    public enum Method: String, Sendable, Codable {
        case password
        case oidc
        case invitation
    }

    /// Of its token.
    public let digest: KeyDigest
    /// Its account's id.
    public let account: String
    /// Of the account at the sign-in.
    public let epoch: String
    public let createdAt: Timestamp
    /// When it was last used, to the hour.
    public internal(set) var seenAt: Timestamp
    /// The client's.
    public let address: String?
    /// ``Client/agent``.
    public let agent: String
    public let method: Method

    static let longest: Duration = .seconds(30 * 86_400)
    static let longestPause: Duration = .seconds(7 * 86_400)
    private static let longestAddress = 100

    init(_ token: SessionToken, of account: Account, epoch: String, _ method: Method, from client: Client, at now: Timestamp) {
        digest = token.digest
        self.account = account.id
        self.epoch = epoch
        createdAt = now
        seenAt = Timestamp(hour: now.hour)
        address = client.address.clipped(to: Self.longestAddress)
        agent = client.agent
        self.method = method
    }

    public var id: String { digest.keyID }

    public var expiresAt: Timestamp { min(createdAt + Self.longest, seenAt + Self.longestPause) }
}

// MARK: As a record

extension Session {
    init(_ record: Record) throws(StoreError) {
        let session = try record.decoded(as: Session.self)
        guard session.id.equalsUTF8(record.id), session.account.equalsUTF8(record.owner), session.createdAt.isValid, session.seenAt.isValid
        else { throw record.damaged }
        self = session
    }

    func record(revision: Int64) throws(StoreError) -> Record {
        try Record(.session, id, owner: account, revision: revision, expiresAt: expiresAt, json: self)
    }
}

/// A session that has not ended, and its account.
public struct SignedIn: Sendable, Equatable {
    public let account: Account
    public let session: Session

    var actor: ChangeAuthor { .account(account.id, session: session.id) }
}

/// A session that has just begun. Its token is shown now and never again.
public struct NewSession: Sendable {
    public let token: SessionToken
    public let session: Session
    public let account: Account

    var signedIn: SignedIn { SignedIn(account: account, session: session) }
}
