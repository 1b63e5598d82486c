import AnalyticsCore
import CMongoShims

/// A client leased to one thread, and its operations. Every failure is thrown as a ``StoreError``.
struct Session {
    let client: OpaquePointer
    let database: String
    /// The operation's name in errors.
    let operation: String
    let limits: TimeLimits
    /// The caller's deadline; `nil` if it set none.
    var deadline: ContinuousClock.Instant?
    /// The `mongoc_client_session_t` of reads and bulk writes: reads see what the session has seen, and its id is used to stop them.
    var handle: OpaquePointer?
    var stop: OperationStop?

    /// Runs a command on the primary; if `writes`, with the client's write concern.
    func command<Value>(
        _ command: [(String, BSON)], on database: String? = nil, writes: Bool, _ read: (BSONView) -> Value
    ) throws(StoreError) -> Value {
        var ok = false
        var error = bson_error_t()
        let command = try encode(command)
        let reply = command.withPointer { cmongoc_command(client, database ?? self.database, $0, writes, &ok, &error) }
        defer { bson_destroy(reply) }
        guard ok, let reply else { throw ServerError(error).storeError(in: operation) }
        return read(BSONView(reply))
    }

    func find(
        _ collection: CollectionName, _ filter: [(String, BSON)], _ options: [(String, BSON)], _ row: (BSONView) throws(StoreError) -> Void
    ) throws(StoreError) {
        try findWhile(collection, filter, options) { view throws(StoreError) -> Bool in
            try row(view)
            return true
        }
    }

    /// Passes rows to `row` until it returns false. `limit`: milliseconds of server time; `nil` for the operation's whole limit.
    func findWhile(
        _ collection: CollectionName, _ filter: [(String, BSON)], _ options: [(String, BSON)], limit: Int32? = nil,
        _ row: (BSONView) throws(StoreError) -> Bool
    ) throws(StoreError) {
        let filter = try encode(filter)
        let options = try readOptions(options, limit)
        try withCollection(collection) { (handle) throws(StoreError) in
            let cursor = filter.withPointer { filter in
                options.withPointer { mongoc_collection_find_with_opts(handle, filter, $0, nil) }
            }
            try rows(of: cursor, row)
        }
    }

    func aggregate(
        _ collection: CollectionName, _ stages: [BSON], _ options: [(String, BSON)] = [], _ row: (BSONView) throws(StoreError) -> Void
    ) throws(StoreError) {
        try aggregateWhile(collection, stages, options) { view throws(StoreError) -> Bool in
            try row(view)
            return true
        }
    }

    /// Like ``findWhile(_:_:_:limit:_:)``.
    func aggregateWhile(
        _ collection: CollectionName, _ stages: [BSON], _ options: [(String, BSON)] = [], limit: Int32? = nil,
        _ row: (BSONView) throws(StoreError) -> Bool
    ) throws(StoreError) {
        let pipeline = try encode(pipeline: stages)
        let options = try readOptions(options, limit)
        try withCollection(collection) { (handle) throws(StoreError) in
            let cursor = pipeline.withPointer { pipeline in
                options.withPointer { mongoc_collection_aggregate(handle, MONGOC_QUERY_NONE, pipeline, $0, nil) }
            }
            try rows(of: cursor, row)
        }
    }

    private func readOptions(_ options: [(String, BSON)], _ limit: Int32?) throws(StoreError) -> BSONDocument {
        let limit = Duration.milliseconds(limit ?? limits.serverTime)
        let left = Int64(((end(of: limit) - .now).seconds * 1000).rounded(.up))
        guard left > 0 else { throw StoreError(.timedOut, operation: operation, "not done by its deadline") }
        return try inSession(encode(options + [("maxTimeMS", .integer(left))]))
    }

    private func inSession(_ options: BSONDocument) throws(StoreError) -> BSONDocument {
        guard let handle else { return options }
        var error = bson_error_t()
        guard options.withPointer({ mongoc_client_session_append(handle, $0, &error) }) else {
            throw ServerError(error).storeError(in: operation)
        }
        return options
    }

    func indexes(of collection: CollectionName, _ row: (BSONView) throws(StoreError) -> Void) throws(StoreError) {
        try withCollection(collection) { (handle) throws(StoreError) in
            try rows(of: mongoc_collection_find_indexes_with_opts(handle, nil)) { view throws(StoreError) -> Bool in
                try row(view)
                return true
            }
        }
    }

    /// Sends what `fill` adds as one unordered bulk. Throws an error of the whole bulk; write errors are in the reply.
    func bulk(_ collection: CollectionName, _ fill: (Bulk) throws(StoreError) -> Void) throws(StoreError) -> BulkReply {
        try withCollection(collection) { (handle) throws(StoreError) in
            let options = try inSession(encode([("ordered", false)]))
            guard let bulk = options.withPointer({ mongoc_collection_create_bulk_operation_with_opts(handle, $0) }) else {
                throw StoreError(.unavailable, operation: operation, "no bulk")
            }
            defer { mongoc_bulk_operation_destroy(bulk) }
            try fill(Bulk(pointer: bulk, session: self, unchecked: encode([("validate", false)])))
            var ok = false
            var error = bson_error_t()
            let document = cmongoc_bulk_execute(bulk, &ok, &error)
            defer { bson_destroy(document) }
            let reply = document.map { BulkReply(BSONView($0)) } ?? BulkReply(BSONView(UnsafeRawBufferPointer(start: nil, count: 0)))
            if let failure = reply.failure(ok ? nil : ServerError(error)) { throw failure.storeError(in: operation) }
            return reply
        }
    }

    /// The end of `time` from now, or the caller's deadline if that is earlier.
    func end(of time: Duration) -> ContinuousClock.Instant {
        let end = ContinuousClock.now + time
        return min(end, deadline ?? end)
    }

    func checkCancelled() throws(StoreError) {
        guard stop?.isStopped != true else { throw StoreError(.unavailable, operation: operation, "cancelled") }
    }

    /// For a document that this adapter did not write or that is damaged. Its content is unknown, so the whole operation fails.
    func damage(_ collection: CollectionName) -> StoreError {
        StoreError(.misconfigured, operation: operation, "a document of '\(collection.rawValue)' cannot be read")
    }

    func encode(_ fields: [(String, BSON)]) throws(StoreError) -> BSONDocument {
        guard let document = BSONDocument(fields) else { throw StoreError(.refused, operation: operation, "does not fit into BSON") }
        return document
    }

    func encode(pipeline stages: [BSON]) throws(StoreError) -> BSONDocument {
        guard let document = BSONDocument(pipeline: stages) else {
            throw StoreError(.refused, operation: operation, "does not fit into BSON")
        }
        return document
    }

    private func withCollection<Value>(
        _ collection: CollectionName, _ body: (OpaquePointer?) throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        let handle = mongoc_client_get_collection(client, database, collection.rawValue)
        defer { mongoc_collection_destroy(handle) }
        return try body(handle)
    }

    private func rows(of cursor: OpaquePointer?, _ row: (BSONView) throws(StoreError) -> Bool) throws(StoreError) {
        defer { mongoc_cursor_destroy(cursor) }
        var document: OpaquePointer?
        while mongoc_cursor_next(cursor, &document) {
            if let document, try !row(BSONView(document)) { return }
            try checkCancelled()
        }
        var error = bson_error_t()
        if mongoc_cursor_error(cursor, &error) { throw ServerError(error).storeError(in: operation) }
    }
}

/// A bulk write under construction.
struct Bulk {
    let pointer: OpaquePointer
    let session: Session
    let unchecked: BSONDocument

    /// Not validated by libmongoc, which would refuse the whole bulk for one empty key; the server accepts empty keys.
    func insert(_ document: BSONDocument) throws(StoreError) {
        try check { error in
            document.withPointer { document in
                unchecked.withPointer { mongoc_bulk_operation_insert_with_opts(pointer, document, $0, &error) }
            }
        }
    }

    /// `update` is a document of operators or a pipeline.
    func updateMany(_ filter: BSONDocument, _ update: BSONDocument) throws(StoreError) {
        try check { error in
            filter.withPointer { filter in
                update.withPointer { mongoc_bulk_operation_update_many_with_opts(pointer, filter, $0, nil, &error) }
            }
        }
    }

    /// `filter` is an `_id`, optionally with further conditions; `update` is a document of operators.
    func upsert(_ filter: BSONDocument, _ update: BSONDocument) throws(StoreError) {
        let options = try session.encode([("upsert", true)])
        try check { error in
            filter.withPointer { filter in
                update.withPointer { update in
                    options.withPointer { mongoc_bulk_operation_update_one_with_opts(pointer, filter, update, $0, &error) }
                }
            }
        }
    }

    func removeMany(_ filter: BSONDocument) throws(StoreError) {
        try check { error in
            filter.withPointer { mongoc_bulk_operation_remove_many_with_opts(pointer, $0, nil, &error) }
        }
    }

    private func check(_ body: (inout bson_error_t) -> Bool) throws(StoreError) {
        var error = bson_error_t()
        guard body(&error) else { throw ServerError(error).storeError(in: session.operation) }
    }
}
