package import AnalyticsCore
internal import Synchronization

/// A provider that answers as a test says.
package final class FakeIdentityProvider: IdentityProvider {
    package struct Call: Sendable, Equatable {
        package var code: String
        package var verifier: String
        package var nonce: String

        package init(code: String, verifier: String, nonce: String) {
            self.code = code
            self.verifier = verifier
            self.nonce = nonce
        }
    }

    private let answer: Mutex<Result<ProvidedIdentity, IdentityProviderError>>
    package let calls = Recorded<Call>()

    package init(_ answer: Result<ProvidedIdentity, IdentityProviderError> = .failure(IdentityProviderError(.refused, "nobody"))) {
        self.answer = Mutex(answer)
    }

    package func answer(_ answer: Result<ProvidedIdentity, IdentityProviderError>) {
        self.answer.withLock { $0 = answer }
    }

    package func authorization(state: String, nonce: String, challenge: String) async throws(IdentityProviderError) -> String {
        if case .failure(let error) = answer.withLock({ $0 }), error.code == .unavailable { throw error }
        return "https://id.example/authorize?state=\(state)&nonce=\(nonce)&code_challenge=\(challenge)"
    }

    package func identity(code: String, verifier: String, nonce: String) async throws(IdentityProviderError) -> ProvidedIdentity {
        calls.append(Call(code: code, verifier: verifier, nonce: nonce))
        return try answer.withLock { $0 }.get()
    }
}
