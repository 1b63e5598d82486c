import TestSupport
import Testing

@testable import AnalyticsCore

struct ProviderSignInTests {
    private let rig = SignInRig()
    private let provider = FakeIdentityProvider()

    private static let ann = ProvidedIdentity(ProviderIdentity(issuer: "https://id.example", subject: "7"), email: .ann)

    /// Of one process.
    private func process() -> ProviderSignIn { ProviderSignIn(provider: provider, signIn: rig.signIn, elapsed: rig.clock.elapsed) }

    @Test func oneProcessBeginsAndAnotherCompletes() async throws {
        try await rig.access.account(.ann, hasPassword: false)
        provider.answer(.success(Self.ann))
        let begun = try await process().begin(returnPath: .standard)
        for part in [begun.attempt.state, begun.attempt.nonce, begun.attempt.challenge] { #expect(begun.address.contains(part)) }
        #expect(!begun.address.contains(begun.attempt.verifier))
        let attempt = try #require(ProviderAttempt(begun.attempt.text))
        let new = try await process().complete(attempt, code: "c-1", from: .browser)
        #expect(provider.calls.values == [.init(code: "c-1", verifier: begun.attempt.verifier, nonce: begun.attempt.nonce)])
        #expect(new.session.method == .oidc && new.account.email == .ann)
        #expect(try await rig.session(new.token).account.identity == Self.ann.identity)
    }

    @Test func eachAttemptIsAnother() async throws {
        let process = process()
        let (one, two) = (try await process.begin(returnPath: .standard).attempt, try await process.begin(returnPath: .standard).attempt)
        #expect(one != two && !one.admits(state: two.state))
    }

    @Test func withoutAnAccountOrAnIdentityNobodyIsSignedIn() async throws {
        let process = process()
        let attempt = try await process.begin(returnPath: .standard).attempt
        provider.answer(.success(Self.ann))
        await #expect(throws: SignInError.wrongCredentials) { try await process.complete(attempt, code: "c", from: .browser) }
        try await rig.access.account(.ann)
        for code in [IdentityProviderError.Code.unavailable, .refused, .unverified] {
            provider.answer(.failure(IdentityProviderError(code, "no")))
            let error = await #expect(throws: IdentityProviderError.self) { try await process.complete(attempt, code: "c", from: .browser) }
            #expect(error?.code == code)
        }
        #expect(try await rig.signIn.sessions(of: Account.id(of: .ann)).isEmpty)
        #expect(try await rig.account()?.identity == nil)
    }

    @Test func aClientThatSendsManyCodesDoesNotReachTheProvider() async throws {
        let process = process()
        let attempt = try await process.begin(returnPath: .standard).attempt
        for _ in 0..<20 {
            await #expect(throws: IdentityProviderError.self) { try await process.complete(attempt, code: "c", from: .browser) }
        }
        await #expect(throws: SignInError.tooManyAttempts(retryAfter: .milliseconds(100))) {
            try await process.complete(attempt, code: "c", from: .browser)
        }
        #expect(provider.calls.values.count == 20)
        rig.clock.advance(by: .seconds(1))
        await #expect(throws: IdentityProviderError.self) { try await process.complete(attempt, code: "c", from: .browser) }
        #expect(provider.calls.values.count == 21)
    }
}
