import AnalyticsCore

/// The result of a bulk write, read from libmongoc's reply.
///
/// All errors are read. The top-level error is only the first one: an 11000 there has hidden a failed write concern.
/// https://mongoc.org/libmongoc/1.23.1/bulk.html
struct BulkReply {
    struct WriteError: Equatable {
        /// Position in the bulk.
        var index: Int
        var error: ServerError
        /// The fields of the unique index that was violated; only for duplicate keys.
        var keyPattern: [String]

        /// The document's own `_id` exists already. A duplicate in another unique index says nothing about the event.
        var isTakenId: Bool { error.code == ServerError.duplicateKey && keyPattern == ["_id"] }
    }

    var inserted: Int64 = 0
    var matched: Int64 = 0
    var modified: Int64 = 0
    var removed: Int64 = 0
    var writeErrors: [WriteError] = []
    var writeConcernErrors: [ServerError] = []
    /// The reply is empty: the failure is on the client side, before or while sending.
    var isEmpty = true

    init(_ reply: BSONView) {
        for element in reply {
            isEmpty = false
            switch element.key {
            case "nInserted": inserted = Self.count(element)
            case "nMatched": matched = Self.count(element)
            case "nModified": modified = Self.count(element)
            case "nRemoved": removed = Self.count(element)
            case "writeErrors": writeErrors = (element.document.map(Array.init) ?? []).compactMap { $0.document.map(WriteError.init) }
            case "writeConcernErrors":
                writeConcernErrors = (element.document.map(Array.init) ?? []).compactMap { $0.document.map(ServerError.init) }
            default: break
            }
        }
    }

    /// An error of the whole bulk; `nil` if the write errors explain everything.
    ///
    /// `error` is libmongoc's, `nil` if it reports success.
    func failure(_ error: ServerError?) -> ServerError? {
        // The write may be on a minority only, or not journaled. It is not known to be durable, so it counts as failed.
        if let first = writeConcernErrors.first { return .server(Self.writeConcernFailed, first.message) }
        guard let error else { return nil }
        // libmongoc repeats the code of the first write error with its own message. A bulk is one command, so any other error
        // belongs to the connection or to the command.
        let isOneOfThem = writeErrors.contains { $0.error.code == error.code && $0.error.domain == error.domain }
        return isOneOfThem && !isEmpty ? nil : error
    }

    private static let writeConcernFailed: UInt32 = 64

    /// Clamped to more than any bulk can hold, so that sums do not overflow.
    private static func count(_ element: BSONElement) -> Int64 { min(max(0, element.integer ?? 0), Int64(Int32.max)) }
}

extension BulkReply.WriteError {
    init(_ view: BSONView) {
        self.init(
            index: Int(view["index"]?.integer ?? -1), error: ServerError(view), keyPattern: view["keyPattern"]?.document?.map(\.key) ?? [])
    }
}

extension ServerError {
    init(_ view: BSONView) {
        self = .server(UInt32(truncatingIfNeeded: view["code"]?.integer ?? 0), view["errmsg"]?.string ?? "")
    }
}
