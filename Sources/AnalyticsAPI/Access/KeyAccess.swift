public import AnalyticsCore
internal import HTTPTypes
public import Hummingbird

/// Authenticates requests by their keys.
///
/// A credential that is sent is checked, also while none is needed: a wrong key is an error, never ignored.
public struct KeyAccess: Authenticator {
    private let directory: KeyDirectory
    private let latch: AnonymousLatch
    private let allowsAnonymous: Bool
    private let adminToken: AdminToken?

    /// - Parameters:
    ///   - latch: Closed permanently by the first key.
    ///   - allowsAnonymous: Until then, a caller without a key is the owner of the project `default`. If false, every request needs a key.
    ///   - adminToken: `ADMIN_TOKEN`: its bearer manages all projects. `nil`: nobody does.
    public init(directory: KeyDirectory, latch: AnonymousLatch, allowsAnonymous: Bool, adminToken: String?) {
        self.directory = directory
        self.latch = latch
        self.allowsAnonymous = allowsAnonymous
        self.adminToken = adminToken.map(AdminToken.init)
    }

    public func principal(of request: Request, for scope: Scope, from peer: String) async throws -> Principal {
        guard let text = try Credential.text(of: request, allowsQuery: scope == .write) else {
            guard try await asksForKey() else { return AnonymousAccess.owner }
            throw Problem.missingKey(isAnyMade: (try? await latch.isClosed()) ?? true)
        }
        guard let key = APIKey(text) else { throw refusal(of: text) }
        do throws(KeyRefusal) {
            return try await directory.key(key, from: peer).principal
        } catch {
            throw Problem(error)
        }
    }

    public func administrator(of request: Request, from peer: String) async throws -> Administrator {
        if let text = try Credential.text(of: request, allowsQuery: false), adminToken?.isSame(as: text) == true { return .instance }
        return .project(try await principal(of: request, with: .admin, from: peer).project)
    }

    /// Throws if the store cannot be read and this process has never read it: then it is unknown whether there are keys.
    public func asksForKey() async throws -> Bool {
        guard allowsAnonymous else { return true }
        do throws(StoreError) {
            return try await latch.isClosed()
        } catch {
            throw Problem(.storeUnavailable, "The store does not say whether a key is needed. Send this again in a moment.")
                .closingConnection()
        }
    }

    /// Of a text that is no key.
    private func refusal(of text: String) -> Problem {
        guard adminToken?.isSame(as: text) == true else { return .invalidKey }
        return Problem(.insufficientScope, "ADMIN_TOKEN manages projects and keys, and is of no project. Use a key of the project here.")
            .closingConnection()
    }
}

/// `ADMIN_TOKEN` as the first 128 bits of its SHA-256. Comparing takes the same time wherever two digests differ, and a digest depends on
/// every character of a token.
private struct AdminToken {
    private let digest: String

    init(_ token: String) {
        digest = Digest.hexadecimal(of: [token])
    }

    func isSame(as text: String) -> Bool {
        zip(digest.utf8, Digest.hexadecimal(of: [text]).utf8).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

extension Problem {
    private static let howToSend = "Send it as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'."

    /// - Parameter isAnyMade: Whether the service has, or had, a key.
    static func missingKey(isAnyMade: Bool) -> Problem {
        let first = isAnyMade ? "" : " None was made yet; 'analytics keys create --project default --scope write' makes one."
        return Problem(.missingKey, "This needs a key. \(howToSend)\(first)").closingConnection()
    }

    /// The same for a text that is no key and for a key that was never made.
    static var invalidKey: Problem {
        Problem(.invalidKey, "What was sent is no key of this service. Check that it is whole. \(howToSend)").closingConnection()
    }

    init(_ refusal: KeyRefusal) {
        self =
            switch refusal {
            case .unknown: .invalidKey
            case .revoked: Problem(.revokedKey, "The key was revoked. Use another key of the project.")
            case .expired: Problem(.expiredKey, "The key has expired. Use another key of the project.")
            case .tooManyUnknown(let retryAfter): .tooManyAttempts(retryAfter)
            case .unavailable:
                Problem(
                    .storeUnavailable,
                    "The store did not answer in time, and this process does not know the key. Send this again in a moment.")
            }
        self = closingConnection()
    }

    private static func tooManyAttempts(_ retryAfter: Duration) -> Problem {
        var problem = Problem(
            .tooManyAttempts, "Too many keys that this service does not know were sent, by this client or by all together. Check the key.")
        problem.headers[.retryAfter] = String(RateHeaders.seconds(retryAfter))
        return problem
    }
}
