public import AnalyticsCore

extension MongoStore {
    public func histories(project: ProjectID, minutes: [Range<Int64>]) async throws(StoreError) -> [BucketHistory] {
        let ranges = Ranges.normalised(minutes)
        guard !ranges.isEmpty else { return [] }
        return try await run(.histories) { session throws(StoreError) in
            var histories: [BucketHistory] = []
            for query in Ranges.queries(ranges) {
                let alternatives: [BSON] = query.map { ["_id": Key.buckets(.minute, project, $0)] }
                let options: [(String, BSON)] = [("sort", ["_id": 1]), ("projection", ["groups": 0, "parts": 0, "received": 0])]
                try session.find(.minutes, [("$or", .array(alternatives))], options) { row throws(StoreError) in
                    guard let history = BucketHistory(row) else { throw session.damage(.minutes) }
                    histories.append(history)
                }
            }
            return histories
        }
    }
}

/// The members of a minute that record how its counts changed: `events`, `causes` and `journal`. A member that is 0 or empty is omitted,
/// as in documents of earlier versions.
enum History {
    /// The members of a new minute.
    static func first(_ mark: BucketMark?) -> [(String, BSON)] {
        guard let mark else { return [] }
        return (mark.events.map { [("events", .integer($0))] } ?? [])
            + (mark.causes.isEmpty ? [] : [("causes", .integer(mark.causes.rawValue * BucketCauses.createdFactor))])
    }

    /// The update for a mark on an existing minute.
    static func more(_ causes: BucketCauses) -> [(String, BSON)] {
        causes.isEmpty ? [] : [("$bit", ["causes": ["or": .integer(causes.rawValue)]])]
    }

    /// The members that a roll adds.
    static func members(_ bucket: RolledBucket) -> [(String, BSON)] {
        (bucket.events.map { [("events", .integer($0))] } ?? []) + (bucket.at.map { [("at", .date($0))] } ?? [])
    }

    /// ``BucketHistory/roll(_:)`` as a pipeline for the server; the new values are under `roll`.
    static func roll(isNewer: BSON) -> [(String, BSON)] {
        let isSettled: BSON = ["$eq": ["$v", "$roll.v"]]
        let hasCause: BSON = ["$gt": [since, 0]]
        let created: BSON = ["$subtract": [["$ifNull": ["$causes", 0]], since]]
        let left: BSON = ["$cond": [["$gt": [created, 0]], created, "$$REMOVE"]]
        // A missing value sorts before a date.
        let hasTime: BSON = ["$gt": ["$roll.at", .null]]
        func set(_ value: BSON, else field: BSON) -> BSON { ["$cond": [isNewer, value, field]] }
        return [
            ("events", set(["$ifNull": ["$roll.events", "$$REMOVE"]], else: "$events")),
            ("causes", set(["$cond": [isSettled, left, "$causes"]], else: "$causes")),
            ("journal", ["$cond": [["$and": [isNewer, hasCause, hasTime]], journal, "$journal"]]),
        ]
    }

    /// The causes of all marks except the first, since the last count.
    private static var since: BSON { ["$mod": [["$ifNull": ["$causes", 0]], .integer(BucketCauses.createdFactor)]] }

    /// The journal with a new entry in front, or with its newest entry extended.
    private static var journal: BSON {
        let before: BSON = ["$cond": [["$lte": ["$done", 0]], 0, "$events"]]
        // Null if one of them is missing.
        let difference: BSON = ["$subtract": ["$roll.events", before]]
        let age: BSON = ["$subtract": ["$roll.at", "$$last.at"]]
        let isSame: BSON = [
            "$and": [
                ["$eq": ["$$last.causes", since]], ["$gte": [age, 0]],
                ["$lt": [age, .integer(BucketHistory.mergedFor.components.seconds * 1000)]],
            ]
        ]
        func either(_ same: BSON, _ new: BSON) -> BSON { ["$cond": ["$$isSame", same, new]] }
        let entry: BSON = [
            "from": either("$$last.from", "$done"), "to": "$roll.v",
            "n": either(["$add": ["$$last.n", difference]], difference), "causes": since, "at": either("$$last.at", "$roll.at"),
            "until": "$roll.at",
        ]
        let older: BSON = ["$slice": ["$$journal", either(1, 0), .integer(Int64(BucketHistory.limit) - 1)]]
        return [
            "$let": [
                "vars": ["journal": ["$ifNull": ["$journal", []]]],
                "in": [
                    "$let": [
                        "vars": ["last": ["$arrayElemAt": ["$$journal", 0]]],
                        "in": [
                            "$let": ["vars": ["isSame": isSame], "in": ["$concatArrays": [[entry], older]]]
                        ],
                    ]
                ],
            ]
        ]
    }
}

extension BucketHistory {
    /// `nil` for a document that this adapter did not write. Unreadable journal entries are skipped: no count depends on the journal.
    init?(_ row: BSONView) {
        guard row.each({ _ in }), let key = row["_id"]?.document.flatMap(BucketKind.minute.key), let version = row["v"]?.integer,
            let done = row["done"]?.integer
        else { return nil }
        let (created, causes) = Self.causes(stored: row["causes"]?.integer ?? 0)
        let journal = row["journal"]?.document.map { journal in journal.compactMap { $0.document.flatMap(BucketChange.init) } }
        self.init(
            key: key, version: version, done: done, events: row["events"]?.integer, created: created, causes: causes,
            changes: journal ?? [])
    }
}

extension BucketChange {
    fileprivate init?(_ entry: BSONView) {
        guard let from = entry["from"]?.integer, let to = entry["to"]?.integer, let causes = entry["causes"]?.integer,
            let at = entry["at"]?.date, let until = entry["until"]?.date
        else { return nil }
        self.init(
            from: from, to: to, difference: entry["n"]?.integer, causes: BucketCauses(rawValue: causes), at: at, until: until)
    }
}
