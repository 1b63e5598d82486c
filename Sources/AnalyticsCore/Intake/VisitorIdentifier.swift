internal import Crypto
internal import FoundationEssentials
internal import Synchronization

/// Makes visitor ids: for events that say nothing of who did something, in projects that switch it on.
///
/// A visitor id is a keyed hash over project, address, user agent and source, under a secret of the UTC day on which the event is received. The
/// secret is drawn at random, shared by all APIs through the store, and deleted an hour after its day: from then on nobody can say again what
/// it made of an address, and so who came on two days. Address and secret stand in no event, message or log.
public final class VisitorIdentifier: Sendable {
    private struct State {
        var projects: Set<ProjectID> = []
        /// By the day that they are for.
        var secrets: [Int64: SymmetricKey] = [:]
        /// The day before which secrets are deleted.
        var deletedBefore: Int64 = .min
    }

    private let store: any VisitorSecretStore
    private let clock: WallClock
    private let state = Mutex(State())

    /// How long before its day a secret is made: for a store that is unavailable at midnight.
    static let lead: Duration = .seconds(3_600)
    /// How long after its day a secret stays, for APIs whose clocks are behind.
    static let grace: Duration = .seconds(3_600)
    static let secretBytes = 32

    public init(store: any VisitorSecretStore, clock: WallClock) {
        self.store = store
        self.clock = clock
    }

    /// Takes over which projects have visitor ids, and reads the secrets of the present day and of the next one.
    func take(_ records: [ProjectRecord]) async throws(StoreError) {
        let now = clock.now()
        let projects = Set(records.filter(\.hasVisitorIds).map(\.project))
        let days = projects.isEmpty ? [] : Set([now.day, (now + Self.lead).day])
        var secrets = state.withLock { $0.secrets.filter { days.contains($0.key) } }
        for day in days where secrets[day] == nil {
            let drawn = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
            secrets[day] = SymmetricKey(data: try await store.visitorSecret(of: day, orElse: drawn))
        }
        state.withLock { ($0.projects, $0.secrets) = (projects, secrets) }
        let first = (now - Self.grace).day
        guard state.withLock({ $0.deletedBefore }) < first else { return }
        try await store.deleteVisitorSecrets(before: first)
        state.withLock { $0.deletedBefore = first }
    }

    func isOn(for project: ProjectID) -> Bool { state.withLock { $0.projects.contains(project) } }

    /// 128 bits as 32 hexadecimal digits; `nil` where the address is not known, or no secret could be read for the day.
    ///
    /// - Parameter isNamed: The event says the address. Such an id is another one than that of a request from this address: a client that may name
    ///   addresses could else try all, and see whose a visitor's is.
    func id(
        project: ProjectID, address: ClientAddress?, isNamed: Bool, userAgent: String?, source: String, at time: Timestamp
    ) -> String? {
        guard let address, let secret = state.withLock({ $0.projects.contains(project) ? $0.secrets[time.day] : nil }) else { return nil }
        var message: [UInt8] = [isNamed ? 1 : 0]
        for field in [Array(project.name.utf8), address.networkBytes, userAgent.map { Array($0.utf8) }, Array(source.utf8)] {
            // Length first, so that no two lists of fields run together to the same bytes.
            withUnsafeBytes(of: Int64(field?.count ?? -1).littleEndian) { message.append(contentsOf: $0) }
            message += field ?? []
        }
        return VisitorID.text(Array(HMAC<SHA256>.authenticationCode(for: message, using: secret)))
    }
}

enum VisitorID {
    private static let digits = Array("0123456789abcdef".utf8)

    static func text(_ code: [UInt8]) -> String {
        String(decoding: code.prefix(16).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Whether ingest can have made it.
    static func isOne(_ text: String) -> Bool { text.utf8.count == 32 && text.utf8.allSatisfy(digits.contains) }
}
