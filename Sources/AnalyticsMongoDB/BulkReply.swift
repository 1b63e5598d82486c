import AnalyticsCore

/// What a bulk write came to, read from libmongoc's reply.
///
/// Every error is walked: the top-level one is merely the first, and an 11000 there has hidden a write concern that failed.
/// https://mongoc.org/libmongoc/1.23.1/bulk.html
struct BulkReply {
    struct WriteError: Equatable {
        /// Place in the bulk.
        var index: Int
        var error: ServerError
        /// The fields of the unique index that refused; for duplicate keys.
        var keyPattern: [String]

        /// The document's own `_id` is taken; of another unique index it says nothing about the event.
        var isTakenId: Bool { error.code == ServerError.duplicateKey && keyPattern == ["_id"] }
    }

    var inserted: Int64 = 0
    var matched: Int64 = 0
    var modified: Int64 = 0
    var removed: Int64 = 0
    var writeErrors: [WriteError] = []
    var writeConcernErrors: [ServerError] = []
    /// Nothing came from a server: the failure is on this side, before or while sending.
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

    /// What stands against the whole bulk, whatever happened to its parts: `nil` when the write errors tell everything.
    ///
    /// `error` is libmongoc's, `nil` when it says that all went well.
    func failure(_ error: ServerError?) -> ServerError? {
        // The write may be on a minority only, or not journaled: not known to be durable, so not done.
        if let first = writeConcernErrors.first { return .server(Self.writeConcernFailed, first.message) }
        guard let error else { return nil }
        // libmongoc repeats the first write error's code with a message of its own. One command a bulk: what is not a write
        // error of this reply is the connection's or the command's.
        let isOneOfThem = writeErrors.contains { $0.error.code == error.code && $0.error.domain == error.domain }
        return isOneOfThem && !isEmpty ? nil : error
    }

    private static let writeConcernFailed: UInt32 = 64

    /// Held to what no bulk exceeds, so that sums of these fit.
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
