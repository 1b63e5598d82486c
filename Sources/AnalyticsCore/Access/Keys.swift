/// Makes, lists, revokes and rotates keys.
public struct Keys: Sendable {
    private let store: any KeyStore & ProjectStore
    private let clock: WallClock

    /// Keys of a project that are neither revoked nor expired. Two that are made at the same moment may exceed it.
    public static let maximum = 1_000
    /// Keys of a project that are revoked or expired. If there are more, the oldest are deleted when a key is made.
    static let maximumEnded = 1_000
    public static let longestOverlap: Duration = .seconds(30 * 86_400)
    public static let usualOverlap: Duration = .seconds(3_600)

    public init(store: any KeyStore & ProjectStore, clock: WallClock) {
        self.store = store
        self.clock = clock
    }

    /// A new key. The project must have a record; `default` gets one. Closes anonymous access for good. Throws a ``KeyError`` for input
    /// that is not allowed.
    ///
    /// - Parameters:
    ///   - name: At most ``StoredKey/longestName`` bytes, without control characters.
    ///   - expiresAt: In the future.
    ///   - maker: Checked in the store once more: the request of a caller may have begun before its key was revoked, or before the first
    ///     key was made. Throws a ``KeyRefusal``.
    public func create(
        project: ProjectID, scope: Scope, name: String, expiresAt: Timestamp?, maker: KeyMaker
    ) async throws -> NewKey {
        let now = clock.now()
        guard name.utf8.count <= StoredKey.longestName, !FieldRules.hasControls(name) else { throw KeyError.invalidName }
        if let expiresAt { guard expiresAt > now, expiresAt.isValid else { throw KeyError.invalidExpiry } }
        guard try await store.hasRecord(of: project, at: now) else { throw KeyError.unknownProject(project) }
        try await makeRoom(in: project, at: now)
        try await check(maker)
        return try await store(project, scope, name, expiresAt, maker, at: now)
    }

    private func makeRoom(in project: ProjectID, at now: Timestamp) async throws {
        let known = try await store.keys(of: project)
        let ended = known.filter { $0.refusal(at: now) != nil }
        guard known.count - ended.count < Self.maximum else { throw KeyError.tooMany }
        if ended.count > Self.maximumEnded { try await store.removeKeys(ended.dropLast(Self.maximumEnded).map(\.id)) }
    }

    private func store(
        _ project: ProjectID, _ scope: Scope, _ name: String, _ expiresAt: Timestamp?, _ maker: KeyMaker, at now: Timestamp
    ) async throws(StoreError) -> NewKey {
        let key = APIKey(project: project, scope: scope)
        let stored = StoredKey(
            digest: key.digest, project: project, scope: scope, name: name, prefix: key.prefix, maker: maker.text, createdAt: now,
            expiresAt: expiresAt)
        try await store.createKey(stored)
        return NewKey(key: key, stored: stored)
    }

    /// The keys of a project, or of all, revoked and expired ones too, oldest first.
    public func list(of project: ProjectID?) async throws(StoreError) -> [StoredKey] {
        try await store.keys(of: project)
    }

    /// The key, revoked. It is refused everywhere within 30 s. `nil` if there is no such key, or the administrator does not manage it.
    public func revoke(_ id: String, by administrator: Administrator) async throws(StoreError) -> StoredKey? {
        guard var key = try await managed(id, by: administrator) else { return nil }
        guard key.revokedAt == nil else { return key }
        let now = clock.now()
        try await store.revokeKey(id, at: now)
        key.revokedAt = now
        return key
    }

    /// A new key of the same project, scope and name, for as long as the old one was made for. The old one expires after `overlap`.
    ///
    /// `nil` as ``revoke(_:by:)``. Throws ``KeyError/invalidExpiry`` if the old key is revoked or expired.
    /// - Parameter overlap: Zero to ``longestOverlap``.
    public func rotate(
        _ id: String, overlap: Duration, by administrator: Administrator, maker: KeyMaker
    ) async throws -> NewKey? {
        guard (Duration.zero...Self.longestOverlap).contains(overlap) else { throw KeyError.invalidExpiry }
        guard let old = try await managed(id, by: administrator) else { return nil }
        let now = clock.now()
        guard old.refusal(at: now) == nil else { throw KeyError.invalidExpiry }
        let expiresAt = old.expiresAt.map { min(now + max($0 - old.createdAt, .milliseconds(1)), .latest) }
        try await makeRoom(in: old.project, at: now)
        try await check(maker)
        // First: it can be repeated, and a new key whose text was lost in a failure after it would be valid for ever.
        try await store.expireKey(id, at: now + overlap)
        guard try await store.key(id)?.revokedAt == nil else { throw KeyError.invalidExpiry }
        return try await store(old.project, old.scope, old.name, expiresAt, maker, at: now)
    }

    private func check(_ maker: KeyMaker) async throws {
        switch maker {
        case .command, .administrator: break
        case .anonymous: guard try await !store.isAnonymousAccessClosed() else { throw KeyRefusal.unknown }
        case .key(let id):
            guard let key = try await store.key(id) else { throw KeyRefusal.unknown }
            if let refusal = key.refusal(at: clock.now()) { throw refusal }
        }
    }

    private func managed(_ id: String, by administrator: Administrator) async throws(StoreError) -> StoredKey? {
        guard let key = try await store.key(id), administrator.manages(key.project) else { return nil }
        return key
    }
}

/// Who makes a key.
public enum KeyMaker: Sendable, Equatable {
    case command
    /// The bearer of `ADMIN_TOKEN`.
    case administrator
    /// A caller without a key, before the first was made.
    case anonymous
    /// A caller with the key of this id.
    case key(String)

    /// ``StoredKey/maker``.
    public var text: String {
        switch self {
        case .command: "command line"
        case .administrator: "administrator"
        case .anonymous: "anonymous"
        case .key(let id): id
        }
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
