import AnalyticsCore

/// The indexes besides `_id`, with their purpose.
enum Index {
    /// Newest-first listings by keyset, and counting from this index alone.
    static let byTime = "by_time_bot_and_receipt"
    /// The same index in earlier versions, without the bot flag or the time of receipt.
    static let byTimeBefore = ["by_time", "by_time_and_bot"]
    /// Listings of one or a few types.
    static let byType = "by_type"
    static let byUser = "by_user"
    static let byCorrelation = "by_correlation"
    /// Marked buckets, in key order. A partial index: it holds only marked buckets.
    static let marked = "marked"
    /// The versions of days, which each count reads without loading the days' tables.
    static let generation = "generation"
    /// The keys of a project, in the order of lists.
    static let byProject = "by_project"
    /// The records of an owner, in the order of lists.
    static let byOwner = "by_owner"
    /// Records that expire.
    static let byExpiry = "by_expiry"
    /// The TTL index of reports, attempts and pipeline counts; in earlier versions also of events.
    static let expiry = "expiry"

    static let ofEvents: [BSON] = [
        spec(
            byTime,
            ["_id.project": 1, "timestamp": -1, "_id.id": -1, "type": 1, "source": 1, "context.bot": 1, "receivedAt": 1]),
        spec(byType, ["_id.project": 1, "type": 1, "timestamp": -1, "_id.id": -1]),
        spec(byUser, ["_id.project": 1, "userId": 1, "timestamp": -1, "_id.id": -1], where: ["userId": ["$exists": true]]),
        spec(
            byCorrelation, ["_id.project": 1, "correlationId": 1, "timestamp": -1, "_id.id": -1],
            where: ["correlationId": ["$exists": true]]),
    ]

    static let ofBuckets: [BSON] = [spec(marked, ["dirty": 1, "_id": 1], where: ["dirty": true])]

    static let ofDays: [BSON] = ofBuckets + [spec(generation, ["_id": 1, "v": 1])]

    static let ofKeys: [BSON] = [spec(byProject, ["project": 1, "createdAt": 1, "_id": 1])]

    static let ofRecords: [BSON] = [
        spec(byOwner, ["_id.kind": 1, "owner": 1, "_id.id": 1]),
        spec(byExpiry, ["expiresAt": 1], where: ["expiresAt": ["$exists": true]]),
    ]

    /// Ten minutes: a report is needed only while a request waits for it.
    static let ofReports: BSON = ["name": .string(expiry), "key": ["at": 1], "expireAfterSeconds": 600]

    static let ofAttempts: BSON = ["name": .string(expiry), "key": ["at": 1], "expireAfterSeconds": .integer(7 * 86_400)]

    static let ofPipeline: BSON = [
        "name": .string(expiry), "key": ["at": 1], "expireAfterSeconds": .integer(Int64(PipelineCell.kept.seconds)),
    ]

    private static func spec(_ name: String, _ key: BSON, where filter: BSON? = nil) -> BSON {
        .document([("name", .string(name)), ("key", key)] + (filter.map { [("partialFilterExpression", $0)] } ?? []))
    }
}

/// Compression of the events and of their indexes. The server's default is snappy for documents and none for indexes. A page of documents
/// is written about once, a page of the index by user many times: with zstd for both, compression took 40 % of the server's time
/// (docs/performance.md). The options apply only when the collection is created.
/// https://www.mongodb.com/docs/v6.0/reference/command/create/
enum Compression {
    static let ofEvents = "zstd"
    static let ofIndexes = "snappy"

    static let options: [(String, BSON)] = [
        ("storageEngine", wiredTiger(ofEvents)), ("indexOptionDefaults", ["storageEngine": wiredTiger(ofIndexes)]),
    ]

    private static func wiredTiger(_ compressor: String) -> BSON {
        ["wiredTiger": ["configString": .string("block_compressor=\(compressor)")]]
    }

    static let alreadyThere: UInt32 = 48
    /// BadValue, FailedToParse, InvalidOptions, CommandNotSupported, NotImplemented, unknown field: the errors of another storage engine,
    /// or of another server that speaks MongoDB's protocol.
    static let notKnown: Set<UInt32> = [2, 9, 72, 115, 238, 40415]
}

extension Session {
    /// Creates the compressed collection of events. Returns false if the server does not know the options; then createIndexes creates it.
    func createEvents(_ options: [(String, BSON)] = Compression.options) throws(StoreError) -> Bool {
        do throws(StoreError) {
            try command([("create", .string(CollectionName.events.rawValue))] + options, writes: true) { _ in }
        } catch {
            guard let code = (error.cause as? ServerError)?.code else { throw error }
            if Compression.notKnown.contains(code) { return false }
            guard code == Compression.alreadyThere else { throw error }
        }
        return true
    }

    /// Creates missing indexes and their collections. The server returns at once for existing ones.
    func createIndexes() throws(StoreError) {
        try create(Index.ofEvents, on: .events)
        try create(Index.ofBuckets, on: .minutes)
        try create(Index.ofBuckets, on: .hours)
        try create(Index.ofDays, on: .days)
        try create(Index.ofKeys, on: .keys)
        try create(Index.ofRecords, on: .records)
        try create([Index.ofReports], on: .reports)
        try create([Index.ofAttempts], on: .attempts)
        try create([Index.ofPipeline], on: .pipeline)
    }

    private func create(_ indexes: [BSON], on collection: CollectionName) throws(StoreError) {
        try command([("createIndexes", .string(collection.rawValue)), ("indexes", .array(indexes))], writes: true) { _ in }
    }

    /// The expiry of events set by the TTL index of earlier versions; `nil` if there is none.
    func expiryOfEvents() throws(StoreError) -> Duration? {
        var seconds: Int64?
        try indexes(of: .events) { index in
            if index["name"]?.string == Index.expiry { seconds = index["expireAfterSeconds"]?.integer }
        }
        return seconds.map { .seconds($0) }
    }

    /// Drops existing indexes of earlier versions.
    func drop(_ names: [String]) throws(StoreError) {
        for name in names where try has(name) {
            do throws(StoreError) {
                try command([("dropIndexes", "events"), ("index", .string(name))], writes: true) { _ in }
            } catch {
                // Another process may have dropped it.
                if try has(name) { throw error }
            }
        }
    }

    private func has(_ name: String) throws(StoreError) -> Bool {
        var isThere = false
        try indexes(of: .events) { index in
            if index["name"]?.string == name { isThere = true }
        }
        return isThere
    }
}
