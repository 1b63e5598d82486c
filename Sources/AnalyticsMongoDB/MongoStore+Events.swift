public import AnalyticsCore

extension MongoStore {
    public func event(project: String, id: String) async throws(StoreError) -> StoredEvent? {
        try await run("event") { session throws(StoreError) in
            var found: StoredEvent?
            try session.find(.events, [("_id", Key.event(project, id))], [("limit", 1)]) { found = StoredEvent($0) }
            return found
        }
    }

    public func events(
        matching filter: EventFilter, after position: EventPosition?, limit: Int
    ) async throws(StoreError) -> [StoredEvent] {
        guard limit > 0, let segments = EventQuery.segments(filter, after: position) else { return [] }
        return try await run("events") { session throws(StoreError) in
            var events: [StoredEvent] = []
            for segment in segments where events.count < limit {
                let options: [(String, BSON)] = [
                    ("sort", ["timestamp": -1, "_id.id": -1]), ("limit", .integer(Int64(limit - events.count))),
                ]
                try session.find(.events, segment, options) { row in
                    if let event = StoredEvent(row) { events.append(event) }
                }
            }
            return events
        }
    }

    /// Deletes by itself, besides what the TTL index does: a thousand events at a time, so that nothing else waits for long.
    public func deleteEvents(before time: Timestamp) async throws(StoreError) {
        let projects = try await run("deleteEvents") { session throws(StoreError) in try session.projects(of: .events) }
        for project in projects {
            while try await run("deleteEvents", { session throws(StoreError) in try session.deleteSome(project, before: time) }) {}
        }
    }
}

extension Session {
    /// Whether there may be more.
    fileprivate func deleteSome(_ project: String, before time: Timestamp) throws(StoreError) -> Bool {
        let limit = 1000
        var keys: [BSON] = []
        let old: [(String, BSON)] = [("_id.project", .string(project)), ("timestamp", ["$lt": .date(time)])]
        let options: [(String, BSON)] = [("projection", ["_id": 1]), ("limit", .integer(Int64(limit))), ("hint", .string(Index.byTime))]
        try find(.events, old, options) { row in
            if let id = row["_id"]?.document?["id"]?.string { keys.append(Key.event(project, id)) }
        }
        guard !keys.isEmpty else { return false }
        // The time again: the id may have been deleted and taken anew meanwhile.
        let filter = try encode([("_id", ["$in": .array(keys)]), ("timestamp", ["$lt": .date(time)])])
        let reply = try bulk(.events) { bulk throws(StoreError) in try bulk.deleteMany(filter) }
        if let error = reply.writeErrors.first?.error { throw error.storeError(in: operation) }
        return keys.count == limit
    }

    /// Projects in a collection, by leaping through the `_id` index from one to the next: as many steps as projects.
    func projects(of collection: CollectionName) throws(StoreError) -> [String] {
        var projects: [String] = []
        while true {
            // Documents compare by their fields' types first, so this is behind every `_id` of the project.
            let next: [(String, BSON)] = projects.last.map { [("_id", ["$gt": ["project": .string($0), "_": .maxKey]])] } ?? []
            var found: String?
            try find(collection, next, [("sort", ["_id": 1]), ("limit", 1), ("projection", ["_id": 1])]) { row in
                found = row["_id"]?.document?["project"]?.string
            }
            guard let found else { return projects }
            projects.append(found)
        }
    }
}
