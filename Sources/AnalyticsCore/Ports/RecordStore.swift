/// Stores small records about people and what they did, changed by compare-and-set. The core defines their bodies; a store sees only
/// keys and bytes.
///
/// Every operation can be repeated.
public protocol RecordStore: Sendable {
    /// `nil` if there is none. Includes everything that was durable before the call.
    func record(_ kind: Record.Kind, _ id: String) async throws(StoreError) -> Record?

    /// The records of an owner, or of all: the greatest ids first, in the order of bytes, and only ids below `id`.
    ///
    /// - Parameter limit: At most ``Record/longestList`` are given.
    func records(_ kind: Record.Kind, of owner: String?, before id: String?, limit: Int) async throws(StoreError) -> [Record]

    /// Writes the record if the stored one has the revision before it; revision 1 if there is none. Durable when it returns.
    ///
    /// False if the stored one has another revision, and nothing is changed. True if the stored one equals the record already: the call
    /// can be repeated after a failure. A record that is not valid is ``StoreError/Code/refused``.
    func write(_ record: Record) async throws(StoreError) -> Bool

    /// Durably removes records. Unknown ids change nothing.
    func removeRecords(_ kind: Record.Kind, _ ids: [String]) async throws(StoreError)

    /// Removes records of all kinds that have expired at this time, those first that expired first. Returns their number. A record whose
    /// time was raised meanwhile is kept.
    ///
    /// - Parameter limit: At most ``Record/longestList`` are removed.
    func removeExpiredRecords(at time: Timestamp, limit: Int) async throws(StoreError) -> Int
}

/// A record of one thing: an account, a session, an invitation, or an entry of the audit log.
public struct Record: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable { case account, session, invitation, audit }

    public var kind: Kind
    /// Unique in its kind: 1 to ``longestID`` lower-case ASCII letters, digits and `-`.
    public var id: String
    /// What lists ask for: an account's id, a project's name, or empty. Has the characters of an id, and `_`; at most ``longestID``.
    public var owner: String
    /// 1 for a new record, and one more with each change.
    public var revision: Int64
    /// From this time on it may be removed; `nil` for never.
    public var expiresAt: Timestamp?
    /// JSON, at most ``largestBody`` bytes.
    public var body: [UInt8]

    public static let longestID = 64
    public static let largestBody = 65_536
    /// Records per list and per removal.
    public static let longestList = 1_000

    public init(kind: Kind, id: String, owner: String = "", revision: Int64 = 1, expiresAt: Timestamp? = nil, body: [UInt8]) {
        self.kind = kind
        self.id = id
        self.owner = owner
        self.revision = revision
        self.expiresAt = expiresAt
        self.body = body
    }

    /// Whether this service can have written it; otherwise the store is damaged.
    public var isValid: Bool {
        guard (1...Self.longestID).contains(id.utf8.count), owner.utf8.count <= Self.longestID else { return false }
        guard id.utf8.allSatisfy(Self.isAllowed), owner.utf8.allSatisfy({ Self.isAllowed($0) || $0 == UInt8(ascii: "_") }) else {
            return false
        }
        return revision > 0 && expiresAt?.isValid ?? true && body.count <= Self.largestBody
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || byte == UInt8(ascii: "-")
    }

    /// What a store checks before it writes.
    package func checkValid() throws(StoreError) {
        guard isValid else {
            throw StoreError(.refused, operation: StoreOperation.writeRecord.rawValue, "a \(kind.rawValue) record is not valid")
        }
    }
}
