/// Makes, lists, revokes and rotates keys.
public struct Keys: Sendable {
    private let store: any KeyStore & ProjectStore & RecordStore
    private let clock: WallClock
    private let audit: AuditLog

    /// Keys of a project that are neither revoked nor expired. Two that are made at the same moment may exceed it.
    public static let maximum = 1_000
    /// Keys of a project that are revoked or expired. If there are more, the oldest are deleted when a key is made.
    static let maximumEnded = 1_000
    public static let longestOverlap: Duration = .seconds(30 * 86_400)
    public static let usualOverlap: Duration = .seconds(3_600)

    public init(store: any KeyStore & ProjectStore & RecordStore, clock: WallClock, audit: AuditLog) {
        self.store = store
        self.clock = clock
        self.audit = audit
    }

    /// A new key. The project must have a record; `default` gets one. Closes anonymous access for good. Throws a ``KeyError`` for input
    /// that is not allowed.
    ///
    /// - Parameters:
    ///   - name: At most ``StoredKey/longestName`` bytes, without control characters.
    ///   - expiresAt: In the future.
    ///   - rates: Of the key alone, in addition to those of its project.
    ///   - administrator: Asked for in the store once more. Throws a ``KeyRefusal`` if it does not manage the project.
    public func create(
        project: ProjectID, scope: Scope, name: String, expiresAt: Timestamp?, rates: ProjectRates = ProjectRates(),
        by administrator: Administrator
    ) async throws -> NewKey {
        let now = clock.now()
        guard name.utf8.count <= StoredKey.longestName, !FieldRules.hasControls(name) else { throw KeyError.invalidName }
        if let expiresAt { guard expiresAt > now, expiresAt.isValid else { throw KeyError.invalidExpiry } }
        guard rates.isValid else { throw ProjectError.invalidRates }
        guard try await store.hasRecord(of: project, at: now) else { throw KeyError.unknownProject(project) }
        let surplus = try await surplus(of: project, at: now)
        try await administrator.check(in: store, for: project, at: clock.now())

        let new = NewKey(project, scope, name, expiresAt, rates, by: administrator, at: now)
        try await audit.record(.keyCreate, project: project, target: new.stored.id, details: new.stored.details, by: administrator)
        try await remove(surplus)
        try await store.createKey(new.stored)
        return new
    }

    /// Ended keys that are too many. Throws if there is no room for another key.
    private func surplus(of project: ProjectID, at now: Timestamp) async throws -> [String] {
        let known = try await store.keys(of: project)
        let ended = known.filter { $0.refusal(at: now) != nil }
        guard known.count - ended.count < Self.maximum else { throw KeyError.tooMany }
        return ended.dropLast(Self.maximumEnded).map(\.id)
    }

    private func remove(_ surplus: [String]) async throws(StoreError) {
        if !surplus.isEmpty { try await store.removeKeys(surplus) }
    }

    /// The keys of a project, or of all, revoked and expired ones too, oldest first.
    public func list(of project: ProjectID?) async throws(StoreError) -> [StoredKey] {
        try await store.keys(of: project)
    }

    /// The key, revoked. It is refused everywhere within 30 s. `nil` if there is no such key, or the administrator does not manage it.
    /// Throws a ``KeyRefusal`` if the store says that it does no longer.
    public func revoke(_ id: String, by administrator: Administrator) async throws -> StoredKey? {
        guard var key = try await managed(id, by: administrator) else { return nil }
        guard key.revokedAt == nil else { return key }
        let now = clock.now()
        try await administrator.check(in: store, for: key.project, at: now)
        try await audit.record(.keyRevoke, project: key.project, target: key.id, details: key.details, by: administrator)
        try await store.revokeKey(id, at: now)
        key.revokedAt = now
        return key
    }

    /// A new key of the same project, scope, name and rates, for as long as the old one was made for. The old one expires after `overlap`.
    ///
    /// `nil` and ``KeyRefusal`` as ``revoke(_:by:)``. Throws ``KeyError/invalidExpiry`` if the old key is revoked or expired.
    /// - Parameter overlap: Zero to ``longestOverlap``.
    public func rotate(_ id: String, overlap: Duration, by administrator: Administrator) async throws -> NewKey? {
        guard (Duration.zero...Self.longestOverlap).contains(overlap) else { throw KeyError.invalidExpiry }
        guard let old = try await managed(id, by: administrator) else { return nil }
        let now = clock.now()
        guard old.refusal(at: now) == nil else { throw KeyError.invalidExpiry }
        let expiresAt = old.expiresAt.map { min(now + max($0 - old.createdAt, .milliseconds(1)), .latest) }
        let surplus = try await surplus(of: old.project, at: now)
        try await administrator.check(in: store, for: old.project, at: clock.now())

        let new = NewKey(old.project, old.scope, old.name, expiresAt, old.rates, by: administrator, at: now)
        let details = "new key: \(new.stored.id); \(new.stored.details); overlap: \(Int64(overlap.seconds)) s"
        try await audit.record(.keyRotate, project: old.project, target: old.id, details: details, by: administrator)
        try await remove(surplus)
        // First: it can be repeated, and a new key whose text was lost in a failure after it would be valid for ever.
        try await store.expireKey(id, at: now + overlap)
        guard try await store.key(id)?.revokedAt == nil else { throw KeyError.invalidExpiry }
        try await store.createKey(new.stored)
        return new
    }

    private func managed(_ id: String, by administrator: Administrator) async throws(StoreError) -> StoredKey? {
        guard let key = try await store.key(id), administrator.manages(key.project) else { return nil }
        return key
    }
}

/// A key with its text, which is shown now and never again.
public struct NewKey: Sendable {
    public var key: APIKey
    public var stored: StoredKey

    public init(key: APIKey, stored: StoredKey) {
        self.key = key
        self.stored = stored
    }

    fileprivate init(
        _ project: ProjectID, _ scope: Scope, _ name: String, _ expiresAt: Timestamp?, _ rates: ProjectRates,
        by administrator: Administrator, at now: Timestamp
    ) {
        key = APIKey(project: project, scope: scope)
        stored = StoredKey(
            digest: key.digest, project: project, scope: scope, name: name, prefix: key.prefix, maker: administrator.actor.text,
            rates: rates, createdAt: now, expiresAt: expiresAt)
    }
}

extension StoredKey {
    /// For the audit log.
    fileprivate var details: String {
        var parts = ["scope: \(scope.rawValue)"]
        if !name.isEmpty { parts.append("name: \(name.quoted)") }
        if let expiresAt { parts.append("expires: \(expiresAt.rfc3339)") }
        if let rate = rates.requestsPerSecond { parts.append("requestsPerSecond: \(rate)") }
        if let rate = rates.eventsPerSecond { parts.append("eventsPerSecond: \(rate)") }
        return parts.joined(separator: "; ")
    }
}

/// Why no key was made.
public enum KeyError: Error, Sendable, Equatable, CustomStringConvertible {
    case unknownProject(ProjectID)
    case tooMany
    case invalidName
    /// A time of expiry or an overlap that is not allowed, or a key to rotate that is no longer valid.
    case invalidExpiry

    public var description: String {
        switch self {
        case .unknownProject(let project): "there is no project '\(project)'; create it first"
        case .tooMany: "the project has \(Keys.maximum) valid keys, which is the maximum; revoke some that are no longer used"
        case .invalidName: "a key's name has at most \(StoredKey.longestName) bytes and no control characters"
        case .invalidExpiry:
            "a key expires in the future and is rotated before it is revoked or expires, with an overlap of 0 to 30 days"
        }
    }
}
