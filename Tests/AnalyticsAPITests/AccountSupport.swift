import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

@testable import AnalyticsCore

/// Hashes at once. The hash is a function of the password.
final class QuickHasher: PasswordHasher {
    /// Taken: it has too much to do.
    let isBusy = Flag()

    func hash(_ password: String) async throws(HasherBusy) -> PasswordHash {
        guard !isBusy.isTaken else { throw HasherBusy() }
        return Self.hash(password)
    }

    func verify(_ password: String, _ hash: PasswordHash) async throws(HasherBusy) -> Bool {
        guard !isBusy.isTaken else { throw HasherBusy() }
        return hash == Self.hash(password)
    }

    private static func hash(_ password: String) -> PasswordHash {
        PasswordHash(PasswordHash.current, salt: [1], hash: Array(Digest.hexadecimal(of: [password]).utf8))
    }
}

extension TestService {
    /// Of all accounts.
    static let password = "tall giraffes sing softly"

    var audit: AuditLog { AuditLog(store: store, clock: Self.clock, ids: recordIDs) }

    var accounts: Accounts { Accounts(store: store, hasher: hasher, clock: Self.clock, ids: recordIDs, audit: audit, logger: Self.quiet) }

    var signIn: SignIn {
        SignIn(
            store: store, hasher: hasher, sessions: sessions, clock: Self.clock, elapsed: time.elapsed, ids: recordIDs, audit: audit)
    }

    /// Requests need a key or a session, once there is one.
    static func keyed() -> TestService {
        var service = TestService()
        service.authenticator = service.keyAccess()
        return service
    }

    /// An account with ``password``. Its projects get records.
    @discardableResult
    func makeAccount(_ email: String, isAdministrator: Bool = false, roles: [ProjectID: Role] = [:]) async throws -> Account {
        let email = try #require(EmailAddress(email))
        var account = try await accounts.create(
            email, password: Self.password, name: "Ann", isAdministrator: isAdministrator, by: .command)
        for (project, role) in roles {
            _ = try await store.createProject(project, at: Self.now)
            account = try #require(try await accounts.setRole(role, of: email, in: project, by: .command))
        }
        return account
    }

    /// The headers of a page of the service whose user has signed in.
    func session(of email: String) async throws -> HTTPFields {
        let client = Client(address: "192.0.2.7", agent: "Browser")
        return .session(try await signIn.signIn(email, Self.password, code: nil, from: client).token.text)
    }

    /// An account with this role in `shop`, and its session.
    func session(_ role: Role, of email: String = "ann@shop.example") async throws -> HTTPFields {
        try await makeAccount(email, roles: ["shop": role])
        return try await session(of: email)
    }
}

extension HTTPFields {
    /// As a page of the service sends it.
    static func session(_ token: String) -> HTTPFields { [.cookie: "__Host-analytics_session=\(token)", .origin: "http://localhost"] }

    func with(_ name: HTTPField.Name, _ value: String?) -> HTTPFields {
        var fields = self
        fields[name] = value
        return fields
    }
}

extension TestClientProtocol {
    func send(
        _ method: HTTPRequest.Method, _ uri: String, _ body: String?, _ headers: HTTPFields = [:], type: String = "application/json"
    ) async throws -> TestResponse {
        var headers = headers
        if body != nil { headers[.contentType] = type }
        return try await executeRequest(uri: uri, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) })
    }
}

extension TestResponse {
    /// What it sets the cookie of a session to; `nil` if it sets none.
    var sessionToken: String? {
        guard let cookie = headers[.setCookie], cookie.hasPrefix("__Host-analytics_session=") else { return nil }
        return String(cookie.dropFirst("__Host-analytics_session=".count).prefix { $0 != ";" })
    }

    func list(_ name: String) -> [[String: Any]] { json[name] as? [[String: Any]] ?? [] }
}
