import AnalyticsCore

/// The indexes beside `_id`, and what each is for.
enum Index {
    /// Newest-first listings by keyset, and counting from this index alone.
    static let byTime = "by_time"
    /// Listings of one or a few types.
    static let byType = "by_type"
    static let byUser = "by_user"
    static let byCorrelation = "by_correlation"
    /// Buckets that are marked, in the order of their keys; holds those alone.
    static let marked = "marked"
    /// The server's deletion of what is old.
    static let expiry = "expiry"

    static let ofEvents: [BSON] = [
        spec(byTime, ["_id.project": 1, "timestamp": -1, "_id.id": -1, "type": 1, "source": 1]),
        spec(byType, ["_id.project": 1, "type": 1, "timestamp": -1, "_id.id": -1]),
        spec(byUser, ["_id.project": 1, "userId": 1, "timestamp": -1, "_id.id": -1], where: ["userId": ["$exists": true]]),
        spec(
            byCorrelation, ["_id.project": 1, "correlationId": 1, "timestamp": -1, "_id.id": -1],
            where: ["correlationId": ["$exists": true]]),
    ]

    static let ofBuckets: [BSON] = [spec(marked, ["dirty": 1, "_id": 1], where: ["dirty": true])]

    /// Reports are of use for as long as somebody waits for them.
    static let ofReports: BSON = ["name": .string(expiry), "key": ["at": 1], "expireAfterSeconds": 600]

    static func ofExpiry(_ seconds: Int64) -> BSON {
        ["name": .string(expiry), "key": ["timestamp": 1], "expireAfterSeconds": .integer(seconds)]
    }

    private static func spec(_ name: String, _ key: BSON, where filter: BSON? = nil) -> BSON {
        .document([("name", .string(name)), ("key", key)] + (filter.map { [("partialFilterExpression", $0)] } ?? []))
    }
}

extension Session {
    /// Creates what is missing, and the collections with it; the server answers at once for what is there.
    func createIndexes() throws(StoreError) {
        try create(Index.ofEvents, on: .events)
        try create(Index.ofBuckets, on: .minutes)
        try create(Index.ofBuckets, on: .hours)
        try create([Index.ofReports], on: .reports)
    }

    private func create(_ indexes: [BSON], on collection: CollectionName) throws(StoreError) {
        try command([("createIndexes", .string(collection.rawValue)), ("indexes", .array(indexes))], writes: true) { _ in }
    }

    /// Makes the TTL index what the settings say: one process may change what another has set, the last one stays.
    func setExpiry(_ expiry: Duration?) throws(StoreError) {
        // The server holds seconds in 32 bits. https://www.mongodb.com/docs/v6.0/core/index-ttl/
        let wanted = expiry.map { min($0.milliseconds / 1000, Int64(Int32.max)) }
        var present: Int64?
        try indexes(of: .events) { index in
            if index["name"]?.string == Index.expiry { present = index["expireAfterSeconds"]?.integer }
        }
        switch (present, wanted) {
        case (nil, let wanted?): try create([Index.ofExpiry(wanted)], on: .events)
        case (let present?, let wanted?) where present != wanted:
            let change: BSON = ["name": .string(Index.expiry), "expireAfterSeconds": .integer(wanted)]
            try command([("collMod", "events"), ("index", change)], writes: true) { _ in }
        case (_?, nil): try command([("dropIndexes", "events"), ("index", .string(Index.expiry))], writes: true) { _ in }
        default: return
        }
    }
}
