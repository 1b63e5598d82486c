public import AnalyticsCore
import Logging

/// The version of the stored data. Version 1 stored no number.
enum Schema {
    static let version: Int64 = 8
}

extension MongoStore {
    /// Creates missing collections and indexes, and upgrades an older database to this version. Refuses a newer one.
    ///
    /// - 1 → 2: In version 1 the server deleted events, by a TTL index. Now the service deletes them, below a watermark. An older version
    ///   that is started beside this one creates that index again, so each start looks for it.
    /// - 2 → 3: Versions up to 2 stored at most 1,000 groups per bucket and counted the rest together. 3 stores all groups, as bytes.
    /// - 3 → 4: Up to 3 a day was only a generation. 4 also stores its groups.
    /// - 4 → 5: Versions up to 4 did not count bots, and their index did not contain them. 5 also has erasures, which an earlier processor
    ///   would ignore.
    /// - 5 → 6: 6 has keys and archived projects. An earlier API would ignore both, and accept requests without a key.
    /// - 6 → 7: 7 has records of accounts and an audit log. An earlier version would change keys and projects without an entry in it.
    /// - 7 → 8: Versions up to 7 did not count events by the day of their receipt, and their index did not contain it. Buckets get a table of
    ///   receipt later (``ReceivedFill``). An earlier processor would write groups beside an older table.
    public func prepare() async throws(StoreError) {
        let version = try await run(.prepare) { session throws(StoreError) in
            let version = try session.schemaVersion()
            try Self.check(version)
            return version
        }
        try await createIndexes()
        let expiry = try await run(.prepare) { session throws(StoreError) in try session.expiryOfEvents() }
        if version < 2 || expiry != nil {
            for project in try await projects() {
                try await raiseWatermarkAboveDeletedEvents(of: project)
                if let expiry { try await raiseWatermark(of: project, overEventsDeletedAfter: expiry) }
            }
        }
        if version < 3 { try await markFoldedBuckets() }
        try await run(.prepare) { session throws(StoreError) in
            try session.drop([Index.expiry] + Index.byTimeBefore)
            if version < 4 { try session.makeBucketsOfGenerations() }
            try Self.check(session.raiseSchemaVersion())
        }
    }

    /// On many events, an index build takes longer than an operation may. This waits as long as the server reports a build.
    private func createIndexes() async throws(StoreError) {
        // No build is reported if it has just ended, or if the server was too busy to reply. One more attempt tells which.
        var isLast = false
        while true {
            let failure: StoreError
            do throws(StoreError) {
                let isCompressed = try await run(.prepare) { session throws(StoreError) in
                    let isCompressed = try session.createEvents()
                    try session.createIndexes()
                    return isCompressed
                }
                if !isCompressed {
                    logger.notice("The server does not support the compression options; events and indexes take more space")
                }
                return
            } catch {
                failure = error
            }
            guard failure.code == .unavailable || failure.code == .timedOut, !Task.isCancelled, Deadline.current?.hasPassed != true, !isLast
            else { throw failure }
            let building = try? await run(.prepare) { session throws(StoreError) in try session.indexBuilds() }
            guard let building, !building.isEmpty else {
                isLast = true
                continue
            }
            isLast = false
            let progress = try? await run(.prepare) { session throws(StoreError) in try session.indexBuildProgress() }
            logger.notice(
                "Waiting while the server builds indexes",
                metadata: ["indexes": "\(building.joined(separator: ", "))", "progress": "\(progress ?? "unknown")"])
            try? await Task.sleep(for: .seconds(1))
        }
    }

    private static func check(_ version: Int64) throws(StoreError) {
        guard version <= Schema.version else {
            throw StoreError(
                .misconfigured, operation: "prepare",
                "the store has schema version \(version), this program knows versions up to \(Schema.version): start a newer one")
        }
    }

    /// Covers events that the TTL index may have deleted until it is dropped, by the server's clock. One day is added for differences
    /// between the members' clocks.
    private func raiseWatermark(of project: ProjectID, overEventsDeletedAfter expiry: Duration) async throws(StoreError) {
        let now = try await run(.prepare) { session throws(StoreError) in
            try session.command([("hello", 1)], on: "admin", writes: false) { $0["localTime"]?.date }
        }
        guard let now else { throw StoreError(.unavailable, operation: "prepare", "the server does not report its time") }
        try await raiseWatermark(of: project, to: Timestamp(minute: (now - expiry + .seconds(86_400)).minute))
    }

    /// Covers events that an index may have deleted that is now dropped or has another expiry. Finds the newest minute that counts more
    /// events than are stored: older minutes may have lost events too, newer ones have not.
    private func raiseWatermarkAboveDeletedEvents(of project: ProjectID) async throws(StoreError) {
        guard let extent = try await extent(project: project) else { return }
        let first = extent.lowerBound.day
        var end = Timestamp(milliseconds: extent.upperBound.milliseconds - 1).day + 1
        var step: Int64 = 1
        while end > first {
            let start = max(first, end - step)
            // Rollups are read first: an event is inserted before it is counted.
            let rollups = try await totals(of: project, in: start * 1440..<end * 1440)
            let times = Timestamp(minute: start * 1440)..<Timestamp(minute: end * 1440)
            let counted = rollups.isEmpty ? EventTotals() : try await countEvents(.init(project: project), in: [times], into: EventTotals())
            if let minute = rollups.last(where: { $0.total > counted.minutes[$0.minute] ?? 0 })?.minute {
                return try await raiseWatermark(of: project, to: Timestamp(minute: minute + 1))
            }
            step = rollups.isEmpty ? min(step * 2, Self.longestStep) : 1
            end = start
        }
    }

    /// Marks the buckets that may be folded, to be counted again. Until then readers skip them. Below a watermark they are skipped forever,
    /// because events may be deleted there.
    private func markFoldedBuckets() async throws(StoreError) {
        var records: [ProjectID: ProjectRecord] = [:]
        for record in try await projectRecords() { records[record.project] = record }
        let minutes = try await foldedBuckets(.minute).filter { minute in
            let watermark = records[minute.project]?.watermark
            return watermark.map { Timestamp(minute: minute.index + 1) > $0 } ?? true
        }
        let hours = try await foldedBuckets(.hour)
        try await mark(.minute, minutes)
        try await mark(.hour, hours + minutes.map { BucketKey(project: $0.project, index: Timestamp(minute: $0.index).hour) })
    }

    /// Buckets with as many groups as folding left. Read in pages, so that each query is short.
    private func foldedBuckets(_ tier: RollupTier) async throws(StoreError) -> [BucketKey] {
        let kind = BucketKind(tier)
        let isFolded: BSON = ["$gte": [["$size": "$groups"], 999]]
        let options: [(String, BSON)] = [
            ("sort", ["_id": 1]), ("limit", .integer(Self.foldedPage)),
            ("projection", ["isFolded": ["$cond": [["$isArray": "$groups"], isFolded, false]]]),
        ]
        var folded: [BucketKey] = []
        var last: BucketKey?
        while true {
            let after: [(String, BSON)] = last.map { [("_id", ["$gt": Key.bucket(kind, $0)])] } ?? []
            let page = try await run(.prepare) { session throws(StoreError) in
                var page: [(key: BucketKey, isFolded: Bool)] = []
                try session.find(kind.collection, after, options) { row throws(StoreError) in
                    guard let key = row["_id"]?.document.flatMap(kind.key) else { throw session.damage(kind.collection) }
                    page.append((key, row["isFolded"]?.boolean ?? false))
                }
                return page
            }
            folded += page.filter(\.isFolded).map(\.key)
            guard Int64(page.count) == Self.foldedPage else { return folded }
            last = page.last?.key
        }
    }

    private static let foldedPage: Int64 = 20_000

    private func totals(of project: ProjectID, in minutes: Range<Int64>) async throws(StoreError) -> [(minute: Int64, total: Int64)] {
        var totals: [(minute: Int64, total: Int64)] = []
        var rest = minutes
        while !rest.isEmpty {
            let page = try await rollups(.minute, project: project, in: [rest], byteLimit: RollupPage.byteLimit)
            totals += page.rollups.map { ($0.key.index, (try? $0.table.total()) ?? 0) }
            rest = (page.next ?? rest.upperBound)..<rest.upperBound
        }
        return totals
    }

    /// Maximum of days per step over empty days.
    private static let longestStep: Int64 = 512
}

/// The number of events per minute.
private struct EventTotals: CountReducer {
    private(set) var minutes: [Int64: Int64] = [:]

    mutating func add(_ row: EventCount) -> Bool {
        minutes[row.minute, default: 0] += row.count
        return true
    }

    mutating func finish() {}
}

extension Session {
    /// 1 if the database has no version.
    fileprivate func schemaVersion() throws(StoreError) -> Int64 {
        var version: Int64?
        try find(.meta, [("_id", "schema")], []) { version = $0["version"]?.integer }
        return version ?? 1
    }

    /// The names of the indexes of events that the server is building.
    fileprivate func indexBuilds() throws(StoreError) -> [String] {
        try command([("collStats", "events")], writes: false) { reply in
            let shards = reply["shards"]?.document.map { $0.compactMap(\.document) } ?? []
            return ([reply] + shards).flatMap { $0["indexBuilds"]?.document.map { $0.compactMap(\.string) } ?? [] }
        }
    }

    /// The server's progress message for index builds; `nil` if this user has no right to read it.
    fileprivate func indexBuildProgress() throws(StoreError) -> String? {
        let stages: [BSON] = [
            ["$currentOp": ["allUsers": true]], ["$match": ["msg": ["$regex": "^Index Build"]]], ["$project": ["msg": 1]], ["$limit": 1],
        ]
        return try command([("aggregate", 1), ("pipeline", .array(stages)), ("cursor", [:])], on: "admin", writes: false) { reply in
            reply["cursor"]?.document?["firstBatch"]?.document?.first(where: { _ in true })?.document?["msg"]?.string
        }
    }

    /// Turns generations into days that are still to be rolled.
    fileprivate func makeBucketsOfGenerations() throws(StoreError) {
        let update = try encode([("$set", ["done": 0, "dirty": true, "groups": .binary([])])])
        let filter = try encode([("done", ["$exists": false])])
        let reply = try bulk(.days) { bulk throws(StoreError) in try bulk.updateMany(filter, update) }
        if let error = reply.writeErrors.first?.error { throw error.storeError(in: operation) }
    }

    /// Returns the version that is stored afterwards; a newer program may have written a newer one.
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
