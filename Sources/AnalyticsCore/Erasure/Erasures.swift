/// Accepts requests to erase, and reports their progress. A processor does the work (``ErasureWorker``).
public struct Erasures: Sendable {
    private let store: any ErasureStore & ProjectStore
    private let clock: WallClock
    private let ids: IDGenerator

    /// Erasures per project.
    static let limit = 10_000
    /// Erasures per project that name neither users nor anonymous ids.
    static let generalLimit = 1_000
    /// Bytes of all tombstones of a project (``Tombstone/size``), which each writer holds in memory: about a million ids.
    static let byteLimit = 16 << 20
    /// Values of each kind per erasure.
    public static let maximumValues = 1_000
    private static let attempts = 20

    public init(store: any ErasureStore & ProjectStore, clock: WallClock, ids: IDGenerator) {
        self.store = store
        self.clock = clock
        self.ids = ids
    }

    /// Requests the erasure of the selected events received until now. An open erasure with the same selection is moved to now. Returns
    /// when it is durable.
    public func request(_ selection: Selection) async throws -> Erasure {
        guard !selection.selectsEverything else { throw ErasureError.everything }
        let now = clock.now()
        for _ in 0..<Self.attempts {
            let known = try await all(of: selection.project)
            let open = known.first { isUnderWay($0.value, for: selection) }
            if let open {
                var erasure = open.value
                erasure.restart(until: now)
                if try await store.announce(erasure, replacing: open.revision) { return erasure }
                continue
            }
            let salt = known.first?.value.tombstone.salt ?? .random()
            let tombstone = Tombstone(selection, salt: salt, until: now)
            try Self.checkRoom(for: tombstone, beside: known.map(\.value.tombstone))
            let erasure = Erasure(project: selection.project, id: ids.next(), tombstone: tombstone, selection: selection)
            if try await store.announce(erasure, replacing: 0) { return erasure }
        }
        throw StoreError(.unavailable, operation: "erasures", "the erasures change faster than they can be written")
    }

    /// Newest first.
    public func list(of project: ProjectID) async throws(StoreError) -> [Erasure] {
        try await all(of: project).map(\.value).sorted { ($0.requestedAt, BytewiseString($0.id)) > ($1.requestedAt, BytewiseString($1.id)) }
    }

    public func erasure(_ id: String, of project: ProjectID) async throws(StoreError) -> Erasure? {
        try await all(of: project).first { $0.value.id.equalsUTF8(id) }?.value
    }

    /// Runs an erasure again after older events were restored. It erases what was received until its original request. `nil` if there is
    /// none with this id. A failed erasure no longer knows its selection: ``ErasureError/failed``.
    public func again(_ id: String, of project: ProjectID) async throws -> Erasure? {
        try await change(id, of: project) { erasure, _ in
            guard erasure.state != .failed else { throw ErasureError.failed }
            erasure.restart(until: erasure.requestedAt)
        }
    }

    /// - Parameter change: Also receives the tombstones of the other erasures.
    private func change(
        _ id: String, of project: ProjectID, _ change: (inout Erasure, [Tombstone]) throws -> Void
    ) async throws -> Erasure? {
        for _ in 0..<Self.attempts {
            let all = try await all(of: project)
            guard let place = all.firstIndex(where: { $0.value.id.equalsUTF8(id) }) else { return nil }
            let known = all[place]
            var erasure = known.value
            try change(&erasure, all.indices.filter { $0 != place }.map { all[$0].value.tombstone })
            if try await store.announce(erasure, replacing: known.revision) { return erasure }
        }
        throw StoreError(.unavailable, operation: "erasures", "the erasure changes faster than it can be written")
    }

    /// Restores a tombstone that a store has lost. One that the store has covers the union of both and runs again, unless it has failed.
    public func restore(_ exported: ExportedErasure) async throws -> Erasure {
        let known = try await change(exported.id, of: exported.project) { erasure, others in
            erasure.tombstone.formUnion(exported.tombstone)
            try Self.checkRoom(for: erasure.tombstone, beside: others)
            if erasure.state != .failed { erasure.restart(until: erasure.requestedAt) }
        }
        if let known { return known }
        try Self.checkRoom(for: exported.tombstone, beside: try await all(of: exported.project).map(\.value.tombstone))
        var erasure = Erasure(project: exported.project, id: exported.id, tombstone: exported.tombstone, selection: nil)
        erasure.restart(until: erasure.requestedAt)
        guard try await store.announce(erasure, replacing: 0) else {
            throw StoreError(.unavailable, operation: "erasures", "another process has written the erasure")
        }
        return erasure
    }

    private static func checkRoom(for tombstone: Tombstone, beside others: [Tombstone]) throws(ErasureError) {
        let general = others.count(where: \.isGeneral)
        guard others.count < limit, !tombstone.isGeneral || general < generalLimit else { throw .tooMany }
        guard others.reduce(tombstone.size, { $0 + $1.size }) <= byteLimit else { throw .tooLarge }
    }

    private func isUnderWay(_ erasure: Erasure, for selection: Selection) -> Bool {
        erasure.isOpen && !erasure.isOfLateLinks && erasure.selection.map { $0.isSame(selection) } ?? false
    }

    private func all(of project: ProjectID) async throws(StoreError) -> [(value: Erasure, revision: Int64)] {
        var all: [(value: Erasure, revision: Int64)] = []
        for stored in try await store.erasures(of: project) { all.append((try Erasure(stored), stored.revision)) }
        return all
    }
}

extension ErasureStore {
    /// Writes an erasure if the stored one has this revision. Writers and workers read it after the announcement.
    func announce(_ erasure: Erasure, replacing revision: Int64) async throws(StoreError) -> Bool {
        let stored = StoredErasure(project: erasure.project, id: erasure.id, revision: revision + 1, bytes: erasure.encoded)
        guard try await writeErasure(stored, replacing: revision) else { return false }
        try await announceErasure(of: erasure.project)
        return true
    }
}

/// Why a request to erase is refused.
public enum ErasureError: Error, Equatable {
    /// It would cover every event of the project.
    case everything
    /// The project has the maximum number of erasures.
    case tooMany
    /// It has failed and cannot run again.
    case failed
    /// The project's tombstones would exceed what a writer can hold in memory.
    case tooLarge
}

/// A tombstone as one line of text, kept beside backups.
public struct ExportedErasure: Sendable, Equatable {
    public let project: ProjectID
    public let id: String
    let tombstone: Tombstone

    /// `nil` for a failed erasure: request a new one.
    public init?(_ erasure: Erasure) {
        guard erasure.state != .failed else { return nil }
        project = erasure.project
        id = erasure.id
        tombstone = erasure.tombstone
    }

    /// `project id bytes`, the bytes in hexadecimal.
    public var text: String {
        var writer = TableWriter()
        writer.number(1)
        writer.write(tombstone)
        let digits = SegmentSeal.sealed(writer.bytes).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return "\(project) \(id) \(digits.joined())"
    }

    /// `nil` if ``text`` cannot have written it.
    public init?(_ text: String) {
        let parts = text.splitUTF8(" ")
        guard parts.count == 3, let project = ProjectID(parts[0]), FieldRules.hasLength(String(parts[1]), limit: FieldRules.idLength) else {
            return nil
        }
        let digits = Array(parts[2].utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for place in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[place...place + 1], as: UTF8.self), radix: 16) else { return nil }
            bytes.append(byte)
        }
        let tombstone: Tombstone? = try? SegmentSeal.opened(bytes).withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
            var cursor = TableCursor(buffer)
            guard try cursor.number() == 1 else { throw .damaged }
            let tombstone = try cursor.tombstone()
            guard cursor.isAtEnd else { throw .damaged }
            return tombstone
        }
        guard let tombstone else { return nil }
        self.project = project
        id = String(parts[1])
        self.tombstone = tombstone
    }
}

extension Selection {
    /// Whether it names only a project.
    fileprivate var selectsEverything: Bool {
        isToldByRollups && types.isEmpty && sources.isEmpty && from == nil && to == nil
    }

    /// Compares bytes.
    fileprivate func isSame(_ other: Selection) -> Bool {
        project == other.project && from == other.from && to == other.to
            && Digest.hexadecimal(of: keyParts).equalsUTF8(Digest.hexadecimal(of: other.keyParts))
    }
}
