/// What is stored of an invitation. The bearer of its token sets the password of the account, once: the epoch changes with the password.
struct Invitation: Sendable, Equatable {
    let digest: KeyDigest
    let account: String
    /// Of the account when the invitation was made.
    let epoch: String
    let expiresAt: Timestamp

    static let lifetime: Duration = .seconds(7 * 86_400)

    init(_ digest: KeyDigest, to account: Account, at now: Timestamp) {
        self.digest = digest
        self.account = account.id
        epoch = account.epoch
        expiresAt = now + Self.lifetime
    }

    /// Whether the bearer of the token with this digest may set the account's password now.
    func admits(_ digest: KeyDigest, to account: Account, at now: Timestamp) -> Bool {
        self.digest.isSame(as: digest) && self.account.equalsUTF8(account.id) && epoch.equalsUTF8(account.epoch) && now < expiresAt
            && account.disabledAt == nil
    }
}

// MARK: As a record

extension Invitation {
    private struct Body: Codable {
        var digest: KeyDigest
        var account: String
        var epoch: String
    }

    /// The id of the record of the token with this digest.
    static func id(of digest: KeyDigest) -> String { digest.keyID }

    init(_ record: Record) throws(StoreError) {
        let body = try record.decoded(as: Body.self)
        guard let expiresAt = record.expiresAt, Self.id(of: body.digest).equalsUTF8(record.id) else { throw record.damaged }
        digest = body.digest
        account = body.account
        epoch = body.epoch
        self.expiresAt = expiresAt
    }

    func record() throws(StoreError) -> Record {
        try Record(
            .invitation, Self.id(of: digest), owner: account, expiresAt: expiresAt,
            json: Body(digest: digest, account: account, epoch: epoch))
    }
}
