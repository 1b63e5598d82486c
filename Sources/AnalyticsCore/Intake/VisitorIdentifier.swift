internal import Crypto
internal import FoundationEssentials
internal import Synchronization

/// Makes visitor ids for events without user id and anonymous id, in projects that enable them.
///
/// A visitor id is a keyed hash over project, address, user agent and source. The key is a random secret of the UTC day of receipt. All
/// APIs share it through the store, and it is deleted an hour after its day. From then on visitor ids cannot be traced to an address, or
/// linked across days. No event, message or log contains the address or the secret.
public final class VisitorIdentifier: Sendable {
    private struct State {
        var projects: Set<ProjectID> = []
        /// By UTC day.
        var secrets: [Int64: SymmetricKey] = [:]
        /// The day before which secrets are deleted.
        var deletedBefore: Int64 = .min
    }

    private let store: any VisitorSecretStore
    private let clock: WallClock
    private let state = Mutex(State())

    /// How long before its day a secret is made, in case the store is unavailable at midnight.
    static let lead: Duration = .seconds(3_600)
    /// How long after its day a secret is kept, for APIs whose clocks are slow.
    static let grace: Duration = .seconds(3_600)
    static let secretBytes = 32

    public init(store: any VisitorSecretStore, clock: WallClock) {
        self.store = store
        self.clock = clock
    }

    /// Updates the projects that have visitor ids, and reads the secrets of the current day and the next one.
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

    /// 128 bits as 32 hexadecimal digits; `nil` if the address is unknown or the day's secret could not be read.
    ///
    /// - Parameter isNamed: The event itself names the address. Such an id differs from that of a request from this address. Otherwise a
    ///   client that may name addresses could try all of them to find a visitor's.
    func id(
        project: ProjectID, address: ClientAddress?, isNamed: Bool, userAgent: String?, source: String, at time: Timestamp
    ) -> String? {
        guard let address, let secret = state.withLock({ $0.projects.contains(project) ? $0.secrets[time.day] : nil }) else { return nil }
        var message: [UInt8] = [isNamed ? 1 : 0]
        for field in [Array(project.name.utf8), address.networkBytes, userAgent.map { Array($0.utf8) }, Array(source.utf8)] {
            // Each field is preceded by its length, so different lists of fields never give the same bytes.
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

    /// Whether it has the form of a visitor id.
    static func isOne(_ text: String) -> Bool { text.utf8.count == 32 && text.utf8.allSatisfy(digits.contains) }
}
