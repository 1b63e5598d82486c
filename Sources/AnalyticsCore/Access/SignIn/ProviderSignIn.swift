internal import Synchronization

/// Signs people in with a provider of OpenID Connect.
public final class ProviderSignIn: Sendable {
    private let provider: any IdentityProvider
    private let signIn: SignIn
    private let elapsed: ElapsedClock
    private let makeSecret: @Sendable () -> [UInt8]
    private let limit = Mutex(UnknownLimit())

    /// - Parameter makeSecret: Makes 32 random bytes. Injected for tests.
    public init(
        provider: any IdentityProvider, signIn: SignIn, elapsed: ElapsedClock = .system,
        makeSecret: @escaping @Sendable () -> [UInt8] = ProviderSignIn.randomSecret
    ) {
        self.provider = provider
        self.signIn = signIn
        self.elapsed = elapsed
        self.makeSecret = makeSecret
    }

    /// Returns what the browser keeps, and the provider's address to which it goes.
    public func begin(
        returnPath: ReturnPath
    ) async throws(IdentityProviderError) -> (attempt: ProviderAttempt, address: String) {
        let attempt = ProviderAttempt(secret: makeSecret(), returnPath: returnPath)
        let address = try await provider.authorization(state: attempt.state, nonce: attempt.nonce, challenge: attempt.challenge)
        return (attempt, address)
    }

    /// Begins a session, if there is an account with the address that the provider has verified. Otherwise throws
    /// ``SignInError/wrongCredentials``.
    ///
    /// Limited per client, because each call makes one to the provider.
    ///
    /// - Parameter code: What the browser came back with, after its state was found to be the attempt's.
    public func complete(_ attempt: ProviderAttempt, code: String, from client: Client) async throws -> NewSession {
        let now = elapsed.now()
        if let wait = limit.withLock({ $0.take(client.address, at: now) }) { throw SignInError.tooManyAttempts(retryAfter: wait) }
        let provided = try await provider.identity(code: code, verifier: attempt.verifier, nonce: attempt.nonce)
        return try await signIn.signIn(provided.identity, verified: provided.email, from: client)
    }

    /// From the system's generator.
    public static let randomSecret: @Sendable () -> [UInt8] = {
        (0..<ProviderAttempt.secretBytes).map { _ in UInt8.random(in: .min ... .max) }
    }
}
