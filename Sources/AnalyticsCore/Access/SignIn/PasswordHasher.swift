/// Hashes passwords. This takes time and memory on purpose, so at most two are hashed at a time.
public protocol PasswordHasher: Sendable {
    /// With the current parameters and a new salt.
    func hash(_ password: String) async throws(HasherBusy) -> PasswordHash

    /// Whether the hash is of this password. Takes the same time wherever the bytes differ.
    func verify(_ password: String, _ hash: PasswordHash) async throws(HasherBusy) -> Bool
}

/// Two passwords are being hashed, or there is no memory for another: retry later.
public struct HasherBusy: Error, Sendable, Equatable {
    public init() {}
}
