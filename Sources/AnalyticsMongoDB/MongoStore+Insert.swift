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
    /// The stored events with the same keys as these events, by the bytes of `_id`.
    ///
    /// An insert that found a key taken has waited for a majority and its journal, and this is a majority read. Together they
    /// prove that the stored event is durable, so a duplicate may be acknowledged.
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

/// Decides the outcome of each event of one insert. Does no I/O.
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

    /// Events and bytes of one bulk. A bulk fits into one server message (48 MB), so it is one command, and it finishes long
    /// before the client's timeout.
    static let batchCount = 1000
    static let batchBytes = 40_000_000
    /// The server's limit for a document. https://www.mongodb.com/docs/v6.0/reference/limits/
    static let documentBytes = 16 * 1024 * 1024

    private let events: [StoredEvent]
    private var settled: [InsertOutcome?]
    private var next = 0
    private var skipped: Set<Int> = []
    private var takenIndexes: [Int] = []
    /// The events found stored before the first insert.
    private var known: [[UInt8]: Stored] = [:]

    init(_ events: [StoredEvent]) {
        self.events = events
        settled = Array(repeating: nil, count: events.count)
    }

    /// Events whose `_id` was taken, by a stored event that has not been read yet.
    var taken: [StoredEvent] { takenIndexes.map { events[$0] }.filter { known[Self.key($0)] == nil } }

    var takenCount: Int { takenIndexes.count }

    /// Complete when all events are settled.
    var outcomes: [InsertOutcome] { settled.compactMap { $0 } }

    /// Leaves out events that are stored already: the server takes 150 µs to reject a duplicate and 25 µs to find it.
    ///
    /// One stored event is still sent. The events that the read found may not be journaled yet; an insert, even of only a duplicate,
    /// waits until a majority has journaled everything before it.
    mutating func skip(_ stored: [[UInt8]: Stored]) {
        known = stored
        var found = events.indices.filter { stored[Self.key(events[$0])] != nil }
        _ = found.popLast()
        takenIndexes = found
        skipped = Set(found)
    }

    /// The next events, encoded; `nil` at the end. Events that cannot be encoded are settled as refused.
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

    /// Tells redeliveries from duplicates and conflicts. If a taken key is free again (its event has expired meanwhile), the insert fails
    /// as unavailable and the caller retries.
    mutating func settleTaken(_ stored: [[UInt8]: Stored]) throws(StoreError) {
        for index in takenIndexes {
            let event = events[index].event
            let key = Self.key(events[index])
            guard let holder = known[key] ?? stored[key] else {
                throw StoreError(.unavailable, operation: "insert", "an id was taken and is free again")
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
