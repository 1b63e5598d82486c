import Algorithms
public import AnalyticsCore
import Synchronization

extension MongoStore {
    public func insert(_ events: [StoredEvent]) async throws(StoreError) -> [InsertOutcome] {
        guard !events.isEmpty else { return [] }
        return try await run(.insert) { session throws(StoreError) in
            var insertion = Insertion(events)
            if self.sawRetries.withLock({ $0 }) { insertion.skip(try session.stored(events)) }
            while let batch = insertion.nextBatch() {
                let reply = try session.bulk(.events) { bulk throws(StoreError) in
                    for entry in batch { try bulk.insert(entry.document) }
                }
                try insertion.settle(batch, reply)
            }
            try insertion.settleTaken(try session.stored(insertion.taken))
            self.sawRetries.withLock { $0 = insertion.takenCount > events.count / 2 }
            return insertion.outcomes
        }
    }
}

extension Session {
    /// What is stored under the keys of these events, by the bytes of `_id`.
    ///
    /// With an insert that found keys taken, which waits for a majority and its journal, what this majority read finds is
    /// durable: a duplicate may be acknowledged.
    fileprivate func stored(_ events: [StoredEvent]) throws(StoreError) -> [[UInt8]: Insertion.Stored] {
        var stored: [[UInt8]: Insertion.Stored] = [:]
        for chunk in events.chunks(ofCount: 1000) {
            let keys = chunk.map { Key.event($0.event.project, $0.event.id) }
            try find(.events, [("_id", ["$in": .array(keys)])], [("projection", ["receipt": 1, "fingerprint": 1, "timestamp": 1])]) { row in
                guard let id = row["_id"]?.document, let ingestID = row["receipt"]?.string, let timestamp = row["timestamp"]?.date else {
                    return
                }
                stored[id.identity] = Insertion.Stored(
                    ingestID: ingestID, fingerprint: row["fingerprint"]?.integer, timestamp: timestamp)
            }
        }
        return stored
    }
}

/// Decides what comes of each event of one insert. Talks to nobody.
struct Insertion {
    struct Entry {
        var index: Int
        var document: BSONDocument
    }

    struct Stored: Equatable {
        var ingestID: String
        var fingerprint: Int64?
        var timestamp: Timestamp
    }

    /// Events and bytes of one bulk: well inside one message of the server's (48 MB), so that a bulk is one command, and small
    /// enough to be done long before the client times out.
    static let batchCount = 1000
    static let batchBytes = 40_000_000
    /// What a document may weigh. https://www.mongodb.com/docs/v6.0/reference/limits/
    static let documentBytes = 16 * 1024 * 1024

    private let events: [StoredEvent]
    private var settled: [InsertOutcome?]
    private var next = 0
    private var skipped: Set<Int> = []
    private var takenIndexes: [Int] = []
    /// What was stored before anything was sent.
    private var known: [[UInt8]: Stored] = [:]

    init(_ events: [StoredEvent]) {
        self.events = events
        settled = Array(repeating: nil, count: events.count)
    }

    /// Events whose `_id` was taken, and by what is not known yet.
    var taken: [StoredEvent] { takenIndexes.map { events[$0] }.filter { known[Self.key($0)] == nil } }

    var takenCount: Int { takenIndexes.count }

    /// Complete once everything is settled.
    var outcomes: [InsertOutcome] { settled.compactMap { $0 } }

    /// Takes what is stored already out of what is sent: the server needs 150 µs to refuse an event, and 25 to find it.
    ///
    /// All but one: what the read found need not be in a journal yet, and an insert, even of nothing but a duplicate, waits until
    /// a majority has everything before it in theirs.
    mutating func skip(_ stored: [[UInt8]: Stored]) {
        known = stored
        var found = events.indices.filter { stored[Self.key(events[$0])] != nil }
        _ = found.popLast()
        takenIndexes = found
        skipped = Set(found)
    }

    /// The next events, encoded; those that cannot be are settled here. `nil` at the end.
    mutating func nextBatch() -> [Entry]? {
        var batch: [Entry] = []
        var bytes = 0
        while next < events.count, batch.count < Self.batchCount {
            guard !skipped.contains(next) else {
                next += 1
                continue
            }
            guard let document = BSONDocument(events[next].document), document.count <= Self.documentBytes else {
                settled[next] = .refused("does not fit into a BSON document")
                next += 1
                continue
            }
            if !batch.isEmpty, bytes + document.count > Self.batchBytes { break }
            bytes += document.count
            batch.append(Entry(index: next, document: document))
            next += 1
        }
        return batch.isEmpty ? nil : batch
    }

    mutating func settle(_ batch: [Entry], _ reply: BulkReply) throws(StoreError) {
        guard Int(reply.inserted) + reply.writeErrors.count == batch.count else {
            throw StoreError(.unavailable, operation: "insert", "\(reply.inserted) of \(batch.count) inserted, the rest is not known")
        }
        for entry in batch { settled[entry.index] = .stored }
        for failure in reply.writeErrors {
            guard batch.indices.contains(failure.index) else {
                throw StoreError(.unavailable, operation: "insert", "an error for an event that was not sent")
            }
            try settle(batch[failure.index].index, failure)
        }
    }

    private mutating func settle(_ index: Int, _ failure: BulkReply.WriteError) throws(StoreError) {
        if failure.isTakenId {
            takenIndexes.append(index)
        } else if failure.error.blamesDocument {
            settled[index] = .refused("\(failure.error.message) (\(failure.error.code))")
        } else {
            throw failure.error.storeError(in: "insert")
        }
    }

    /// Tells retries from redeliveries and conflicts. A key that was taken and is not any more (expired meanwhile) leaves the
    /// event unsettled: the caller tries again.
    mutating func settleTaken(_ stored: [[UInt8]: Stored]) throws(StoreError) {
        for index in takenIndexes {
            let event = events[index].event
            let key = Self.key(events[index])
            guard let holder = known[key] ?? stored[key] else {
                throw StoreError(.unavailable, operation: "insert", "an id was taken, and is not any more")
            }
            if holder.ingestID.utf8.elementsEqual(event.ingestID.utf8) {
                settled[index] = .redelivered
            } else {
                settled[index] =
                    holder.fingerprint == events[index].fingerprint
                    ? .duplicate(heldAt: holder.timestamp) : .conflict(heldAt: holder.timestamp)
            }
        }
    }
}

extension Insertion {
    /// The bytes of an event's `_id`.
    fileprivate static func key(_ event: StoredEvent) -> [UInt8] {
        BSONDocument([("project", .string(event.event.project.name)), ("id", .string(event.event.id))])?.bytes ?? []
    }
}
