/// A key as it is stored: everything about it but its text.
public struct StoredKey: Sendable, Equatable {
    public var digest: KeyDigest
    public var project: ProjectID
    public var scope: Scope
    /// For people; at most ``longestName`` bytes, may be empty.
    public var name: String
    /// ``APIKey/prefix``.
    public var prefix: String
    /// Who made it: ``ChangeAuthor/text``.
    public var maker: String
    /// Beside those of the project.
    public var rates: ProjectRates
    public var createdAt: Timestamp
    /// From this time on it is refused; `nil` for never.
    public var expiresAt: Timestamp?
    public var revokedAt: Timestamp?
    /// To the hour; `nil` if it was never used.
    public var lastUsedAt: Timestamp?

    public static let longestName = 100

    public init(
        digest: KeyDigest, project: ProjectID, scope: Scope, name: String, prefix: String, maker: String,
        rates: ProjectRates = ProjectRates(), createdAt: Timestamp, expiresAt: Timestamp? = nil, revokedAt: Timestamp? = nil,
        lastUsedAt: Timestamp? = nil
    ) {
        self.digest = digest
        self.project = project
        self.scope = scope
        self.name = name
        self.prefix = prefix
        self.maker = maker
        self.rates = rates
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.revokedAt = revokedAt
        self.lastUsedAt = lastUsedAt
    }

    public var id: String { digest.keyID }

    public var principal: Principal {
        let limitedKey = rates == ProjectRates() ? nil : LimitedKey(id: id, rates: rates)
        return Principal(project: project, scopes: scope.granted, key: id, limitedKey: limitedKey)
    }

    /// Whether this service can have written it; otherwise the store is damaged.
    public var isValid: Bool {
        name.utf8.count <= Self.longestName && prefix.utf8.count <= APIKey.longest && maker.utf8.count <= Self.longestName
            && rates.isValid && createdAt.isValid && [expiresAt, revokedAt, lastUsedAt].allSatisfy { $0?.isValid ?? true }
    }
}
