package import AnalyticsCore

extension MemoryStore {
    package func record(_ kind: Record.Kind, _ id: String) async throws(StoreError) -> Record? {
        try await read("record") { $0.smallRecords[RecordName(kind, id)] }
    }

    package func records(
        _ kind: Record.Kind, of owner: String?, before id: String?, limit: Int
    ) async throws(StoreError) -> [Record] {
        let all = try await read("records") { $0.smallRecords }
        let asked = all.filter { name, record in
            if let owner, !record.owner.equalsUTF8(owner) { return false }
            if let id, name.id >= BytewiseString(id) { return false }
            return name.kind == kind
        }
        return asked.sorted { $0.key.id > $1.key.id }.prefix(min(max(0, limit), Record.longestList)).map(\.value)
    }

    package func write(_ record: Record) async throws(StoreError) -> Bool {
        try record.checkValid()
        return try write(.record) { state in
            let name = RecordName(record.kind, record.id)
            let stored = state.smallRecords[name]
            if stored == record { return true }
            guard stored?.revision ?? 0 == record.revision - 1 else { return false }
            state.smallRecords[name] = record
            return true
        }
    }

    package func removeRecords(_ kind: Record.Kind, _ ids: [String]) async throws(StoreError) {
        try write(.record) { state in for id in ids { state.smallRecords[RecordName(kind, id)] = nil } }
    }

    package func removeExpiredRecords(at time: Timestamp, limit: Int) async throws(StoreError) -> Int {
        try write(.record) { state in
            let ends = state.smallRecords.compactMap { name, record in record.expiresAt.map { (name: name, at: $0) } }
            let expired = ends.filter { $0.at <= time }.sorted { $0.at < $1.at }.prefix(min(max(0, limit), Record.longestList))
            for end in expired { state.smallRecords[end.name] = nil }
            return expired.count
        }
    }
}
