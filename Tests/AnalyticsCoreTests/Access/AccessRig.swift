import TestSupport
import Testing

@testable import AnalyticsCore

/// Keys, projects and accounts on a ``JournalStore``, at noon.
struct AccessRig: Sendable {
    let store = JournalStore()
    let clock = ManualClock()
    let log = RecordedLog()
    /// Before further attempts of a change. They take no time.
    let pauses = Recorded<Duration>()
    /// `000000`, `000001`, …
    let ids: IDGenerator = {
        let counting = IDGenerator.counting("")
        return IDGenerator {
            let number = counting.next()
            return String(repeating: "0", count: 6 - number.utf8.count) + number
        }
    }()

    var audit: AuditLog { AuditLog(store: store, clock: clock.wall, ids: ids) }
    var keys: Keys { Keys(store: store, clock: clock.wall, audit: audit) }
    var projects: Projects { Projects(store: store, clock: clock.wall, audit: audit) }
    var accounts: Accounts {
        let elapsed = ElapsedClock(now: clock.elapsed.now, sleep: { [pauses] pause in pauses.append(pause) })
        return Accounts(
            store: store, hasher: PlainHasher(), clock: clock.wall, elapsed: elapsed, ids: ids, audit: audit, logger: log.logger)
    }

    static let password = "tall giraffes sing softly"

    /// An account as it is stored: without a password it was invited only.
    @discardableResult
    func account(
        _ email: EmailAddress, isAdministrator: Bool = false, roles: [ProjectID: Role] = [:], hasPassword: Bool = true
    ) async throws -> Account {
        let account = Account(
            email: email, isAdministrator: isAdministrator, roles: roles, password: hasPassword ? PlainHasher.hash(Self.password) : nil,
            epoch: Account.newEpoch(ids), createdAt: noon)
        _ = try await store.memory.write(try account.record(revision: 1))
        return account
    }

    /// How long a session lasts that is not used.
    static let sessionLength = Session.longestPause

    /// An account that has signed in at noon, as a caller with the realm that it has then.
    func signedIn(
        _ email: EmailAddress, isAdministrator: Bool = false, roles: [ProjectID: Role] = [:]
    ) async throws -> (caller: Administrator, account: Account, session: String) {
        let account = try await account(email, isAdministrator: isAdministrator, roles: roles)
        let client = Client(address: "192.0.2.7", agent: "test")
        let session = Session(SessionToken(), of: account, epoch: account.epoch, .password, from: client, at: noon)
        _ = try await store.memory.write(try session.record(revision: 1))
        let owned = roles.filter { $0.value == .owner }.keys
        let caller = Administrator(
            isAdministrator ? .instance : .projects(Set(owned)), actor: .account(account.id, session: session.id), address: client.address)
        return (caller, account, session.id)
    }

    /// As another process does.
    func changeElsewhere(_ id: String, _ change: (inout Account) -> Void) async {
        _ = try? await store.memory.changeAccount(id, change)
    }

    /// An account that no version can read.
    func damage(_ email: EmailAddress) async throws {
        let record = try #require(try await store.memory.record(.account, Account.id(of: email)))
        _ = try await store.memory.write(Record(kind: .account, id: record.id, revision: record.revision + 1, body: Array("{".utf8)))
    }

    func project(_ project: ProjectID) async throws { _ = try await store.memory.createProject(project, at: noon) }

    /// What the audit log says of it, oldest first.
    func told() async throws -> [AuditEntry] { try await audit.entries(of: nil, before: nil, limit: 1_000).reversed() }
}

/// Hashes at once. The hash is a function of the password.
struct PlainHasher: PasswordHasher {
    static func hash(_ password: String) -> PasswordHash {
        PasswordHash(PasswordHash.current, salt: [1], hash: Array(Digest.hexadecimal(of: [password]).utf8))
    }

    func hash(_ password: String) async throws(HasherBusy) -> PasswordHash { Self.hash(password) }

    func verify(_ password: String, _ hash: PasswordHash) async throws(HasherBusy) -> Bool { hash == Self.hash(password) }
}

extension EmailAddress {
    static let ann = EmailAddress("ann@example.org")!
    static let bob = EmailAddress("bob@example.org")!
    static let cid = EmailAddress("cid@example.org")!
}
