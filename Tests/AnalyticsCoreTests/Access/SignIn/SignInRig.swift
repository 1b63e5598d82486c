import Synchronization
import TestSupport

@testable import AnalyticsCore

/// Signing in on the store and the clock of an ``AccessRig``.
struct SignInRig: Sendable {
    let access = AccessRig()
    let hasher = CountingHasher()
    let directory: SessionDirectory
    let signIn: SignIn

    init() {
        directory = SessionDirectory(store: access.store, clock: access.clock.wall, elapsed: access.clock.elapsed)
        signIn = SignIn(
            store: access.store, hasher: hasher, sessions: directory, clock: access.clock.wall, elapsed: access.clock.elapsed,
            ids: access.ids, audit: access.audit)
    }

    var store: JournalStore { access.store }
    var clock: ManualClock { access.clock }

    func enter(
        _ email: EmailAddress = .ann, _ password: String = AccessRig.password, code: String? = nil, from client: Client = .browser
    ) async throws -> NewSession {
        try await signIn.signIn(email.text, password, code: code, from: client)
    }

    func session(_ token: SessionToken) async throws -> SignedIn { try await directory.session(token, from: Client.browser.address) }

    /// As another process sees it now.
    func sessionElsewhere(_ token: SessionToken) async throws -> SignedIn {
        let other = SessionDirectory(store: access.store, clock: access.clock.wall, elapsed: access.clock.elapsed)
        return try await other.session(token, from: Client.browser.address)
    }

    func account(_ email: EmailAddress = .ann) async throws -> Account? { try await store.account(Account.id(of: email)) }

    func change(_ email: EmailAddress = .ann, _ body: (inout Account) -> Void) async throws {
        _ = try await store.changeAccount(Account.id(of: email)) { body(&$0) }
    }

    /// The service of another process.
    var elsewhere: SignIn {
        SignIn(
            store: access.store, hasher: hasher,
            sessions: SessionDirectory(store: access.store, clock: access.clock.wall, elapsed: access.clock.elapsed),
            clock: access.clock.wall, elapsed: access.clock.elapsed, ids: access.ids, audit: access.audit)
    }

    /// Writes failed sign-ins until it is cancelled.
    func writeFailures() -> Task<Void, any Error> { Task { [signIn] in try await signIn.failures.run() } }

    /// What the audit log says of an action, oldest first.
    func told(_ action: AuditAction) async throws -> [AuditEntry] { try await access.told().filter { $0.action == action } }

    /// The code that an app shows now, or so many steps later.
    func code(of email: EmailAddress = .ann, stepsLater steps: Int64 = 0) async throws -> String {
        guard let secret = try await account(email)?.totp?.secret else { return "" }
        return TOTP.shown(secret, step: TOTP.step(at: clock.wall.now()) + steps)
    }

    /// Turns the second factor on. The step of the code that confirms it has passed then.
    func turnOnTOTP(_ signedIn: SignedIn) async throws -> [String] {
        _ = try await signIn.beginTOTP(signedIn, password: AccessRig.password, from: .browser)
        let codes = try await signIn.confirmTOTP(signedIn, code: try await code(of: signedIn.account.email), from: .browser)
        clock.advance(by: .seconds(30))
        return codes
    }
}

/// Hashes as ``PlainHasher``, and counts. A hash may have any parameters.
final class CountingHasher: PasswordHasher {
    private struct State {
        var hashes = 0
        var verifications = 0
        var isBusy = false
    }

    private let state = Mutex(State())

    var hashes: Int { state.withLock { $0.hashes } }
    var verifications: Int { state.withLock { $0.verifications } }

    func busy(_ isBusy: Bool) { state.withLock { $0.isBusy = isBusy } }

    func hash(_ password: String) async throws(HasherBusy) -> PasswordHash {
        try count { $0.hashes += 1 }
        return PlainHasher.hash(password)
    }

    func verify(_ password: String, _ hash: PasswordHash) async throws(HasherBusy) -> Bool {
        try count { $0.verifications += 1 }
        return hash.hash == PlainHasher.hash(password).hash
    }

    private func count(_ body: (inout State) -> Void) throws(HasherBusy) {
        let isBusy = state.withLock { state in
            body(&state)
            return state.isBusy
        }
        if isBusy { throw HasherBusy() }
    }
}

extension Client {
    static let browser = Client(address: "192.0.2.1", agent: "Browser/1")
    static let other = Client(address: "198.51.100.7", agent: "Other/2")

    /// Each number has a network of its own.
    static func numbered(_ number: Int) -> Client { Client(address: "10.0.\(number / 256).\(number % 256)", agent: "") }
}

extension TOTP {
    /// With all six digits.
    static func shown(_ secret: [UInt8], step: Int64) -> String {
        let number = String(code(secret, step: step))
        return String(repeating: "0", count: digits - number.utf8.count) + number
    }
}
