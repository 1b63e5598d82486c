public import AnalyticsCore

/// The version of what is stored. 1 had no number.
enum Schema {
    static let version: Int64 = 2
}

extension MongoStore {
    /// Creates what is missing, and brings an older database to this version. A newer one is refused.
    ///
    /// Version 1 had the server delete events, by a TTL index; 2 deletes them itself, below a watermark. An older version that is started
    /// again beside this one makes that index anew, so it is looked for each time.
    public func prepare() async throws(StoreError) {
        let (version, expiry) = try await run("prepare") { session throws(StoreError) in
            let version = try session.schemaVersion()
            try Self.check(version)
            try session.createIndexes()
            return (version, try session.expiryOfEvents())
        }
        if version < Schema.version || expiry != nil {
            for project in try await projects() {
                try await raiseWatermarkAboveDeletedEvents(of: project)
                if let expiry { try await raiseWatermark(of: project, overEventsDeletedAfter: expiry) }
            }
        }
        try await run("prepare") { session throws(StoreError) in
            if expiry != nil { try session.dropExpiryOfEvents() }
            try Self.check(session.raiseSchemaVersion())
        }
    }

    private static func check(_ version: Int64) throws(StoreError) {
        guard version <= Schema.version else {
            throw StoreError(
                .misconfigured, operation: "prepare",
                "the store has schema version \(version), this program knows versions up to \(Schema.version): start a newer one")
        }
    }

    /// What the TTL index may have deleted by now and until it is dropped, by the server's clock. A day more, for the clocks of members.
    private func raiseWatermark(of project: String, overEventsDeletedAfter expiry: Duration) async throws(StoreError) {
        let now = try await run("prepare") { session throws(StoreError) in
            try session.command([("hello", 1)], on: "admin", writes: false) { $0["localTime"]?.date }
        }
        guard let now else { throw StoreError(.unavailable, operation: "prepare", "the server does not tell its time") }
        try await raiseWatermark(of: project, to: Timestamp(minute: (now - expiry + .seconds(86_400)).minute))
    }

    /// What an index that is gone by now, or had another time, may have deleted. The newest minute that counts more than it has events
    /// tells: minutes older than it may have lost events too, and none that is newer has.
    private func raiseWatermarkAboveDeletedEvents(of project: String) async throws(StoreError) {
        guard let extent = try await extent(project: project) else { return }
        let first = extent.lowerBound.day
        var end = Timestamp(milliseconds: extent.upperBound.milliseconds - 1).day + 1
        var step: Int64 = 1
        while end > first {
            let start = max(first, end - step)
            // Rollups first: an event is inserted before it is counted.
            let rollups = try await self.rollups(.minute, project: project, in: [start * 1440..<end * 1440])
            let times = Timestamp(minute: start * 1440)..<Timestamp(minute: end * 1440)
            let counted = rollups.isEmpty ? [] : try await countEvents(project: project, in: [times])
            let events = Dictionary(uniqueKeysWithValues: counted.map { ($0.minute, $0.groups.total) })
            if let minute = rollups.last(where: { $0.groups.total > events[$0.key.index] ?? 0 })?.key.index {
                return try await raiseWatermark(of: project, to: Timestamp(minute: minute + 1))
            }
            step = rollups.isEmpty ? min(step * 2, Self.longestStep) : 1
            end = start
        }
    }

    /// Days looked at in one step where there is nothing.
    private static let longestStep: Int64 = 512
}

extension [RollupGroup] {
    fileprivate var total: Int64 { reduce(0) { $0 + $1.count } }
}

extension Session {
    /// 1 where the database says nothing.
    fileprivate func schemaVersion() throws(StoreError) -> Int64 {
        var version: Int64?
        try find(.meta, [("_id", "schema")], []) { version = $0["version"]?.integer }
        return version ?? 1
    }

    /// Returns the version that is stored afterwards: a newer one where a newer program was quicker.
    fileprivate func raiseSchemaVersion() throws(StoreError) -> Int64 {
        let inserted = try bulk(.meta) { bulk throws(StoreError) in try bulk.insert(encode([("_id", "schema")])) }
        if let failure = inserted.writeErrors.first(where: { !$0.isTakenId }) { throw failure.error.storeError(in: operation) }
        let filter = try encode([("_id", "schema")])
        let update = try encode([("$max", ["version": .integer(Schema.version)])])
        let reply = try bulk(.meta) { bulk throws(StoreError) in try bulk.updateMany(filter, update) }
        if let error = reply.writeErrors.first?.error { throw error.storeError(in: operation) }
        return try schemaVersion()
    }
}
