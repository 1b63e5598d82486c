internal import FoundationEssentials

/// The body of a record is JSON. It is untrusted when it is read.
extension Record {
    /// Throws if it is not valid.
    init(
        _ kind: Kind, _ id: String, owner: String = "", revision: Int64 = 1, expiresAt: Timestamp? = nil, json: some Encodable
    ) throws(StoreError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let body = try? encoder.encode(json) else {
            throw StoreError(.refused, operation: StoreOperation.writeRecord.rawValue, "a \(kind.rawValue) has no form as JSON")
        }
        self.init(kind: kind, id: id, owner: owner, revision: revision, expiresAt: expiresAt, body: Array(body))
        try checkValid()
    }

    func decoded<Body: Decodable>(as type: Body.Type) throws(StoreError) -> Body {
        guard let decoded = try? JSONDecoder().decode(type, from: Data(body)) else { throw damaged }
        return decoded
    }

    var damaged: StoreError {
        StoreError(.refused, operation: StoreOperation.record.rawValue, "the \(kind.rawValue) '\(id)' is damaged, or of another version")
    }
}

extension RecordStore {
    /// Reads the account, changes it, and writes it, as ``replaceAccount(_:elapsed:_:)``. `nil` if there is no such account.
    func changeAccount(
        _ id: String, elapsed: ElapsedClock = .system, _ change: (inout Account) throws -> Void
    ) async throws -> Account? {
        let changed = try await replaceAccount(id, elapsed: elapsed) { record in
            guard var account = try Account(record) else { return nil }
            try change(&account)
            return try account.record(revision: record.revision &+ 1)
        }
        guard let changed else { return nil }
        return try Account(changed)
    }

    /// Reads the record of an account, and writes what `next` makes of it, which has the next revision. It does so again if the record was
    /// changed meanwhile, at most 20 times; then this throws ``AccountError/conflict``. Returns what was written, `nil` if there is nothing
    /// to write.
    func replaceAccount(
        _ id: String, elapsed: ElapsedClock = .system, _ next: (Record) throws -> Record?
    ) async throws -> Record? {
        for attempt in 0..<20 {
            // Many that change it at the same time come one after the other.
            if attempt > 1 { try await elapsed.sleep(.milliseconds(Int64.random(in: 1...10))) }
            guard let record = try await record(.account, id), let new = try next(record) else { return nil }
            if try await write(new) { return new }
        }
        throw AccountError.conflict
    }
}
