public import AnalyticsCore

extension MongoStore {
    public func event(project: ProjectID, id: String) async throws(StoreError) -> StoredEvent? {
        try await run(.event) { session throws(StoreError) in
            var found: StoredEvent?
            try session.find(.events, [("_id", Key.event(project, id))], [("limit", 1)]) { row throws(StoreError) in
                guard let event = StoredEvent(row) else { throw session.damage(.events) }
                found = event
            }
            return found
        }
    }

    public func events(
        matching selection: Selection, after position: EventPosition?, limit: Int, byteLimit: Int
    ) async throws(StoreError) -> [StoredEvent] {
        guard limit > 0, let segments = EventQuery.segments(selection, after: position) else { return [] }
        return try await run(.events) { session throws(StoreError) in
            var events: [StoredEvent] = []
            var bytes = 0
            for segment in segments where events.isEmpty || (events.count < limit && bytes < byteLimit) {
                let options: [(String, BSON)] = [
                    ("sort", ["timestamp": -1, "_id.id": -1]), ("limit", .integer(Int64(limit - events.count))),
                ]
                try session.findWhile(.events, segment, options) { row throws(StoreError) -> Bool in
                    guard let event = StoredEvent(row) else { throw session.damage(.events) }
                    events.append(event)
                    bytes += event.size
                    return bytes < byteLimit
                }
            }
            return events
        }
    }
}

extension Session {
    /// The projects in a collection. Skips through the `_id` index from one project to the next: one query per project.
    func projects(of collection: CollectionName) throws(StoreError) -> [ProjectID] {
        var projects: [ProjectID] = []
        while true {
            // Documents compare by the types of their fields first, so this sorts after every `_id` of the project.
            let next: [(String, BSON)] = projects.last.map { [("_id", ["$gt": ["project": .string($0.name), "_": .maxKey]])] } ?? []
            var found: String?
            try find(collection, next, [("sort", ["_id": 1]), ("limit", 1), ("projection", ["_id": 1])]) { row in
                found = row["_id"]?.document?["project"]?.string
            }
            guard let found else { return projects }
            guard let project = ProjectID(found) else { throw damage(collection) }
            projects.append(project)
        }
    }
}
