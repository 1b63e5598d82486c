import AnalyticsCore
import CMongoShims

/// An error of libmongoc or the server, and its meaning for the caller. Only this file knows the codes.
struct ServerError: Error, Equatable {
    var domain: UInt32
    var code: UInt32
    var message: String

    /// A server error code (https://github.com/mongodb/mongo/blob/v6.0/src/mongo/base/error_codes.yml).
    static func server(_ code: UInt32, _ message: String) -> ServerError {
        ServerError(domain: MONGOC_ERROR_SERVER.rawValue, code: code, message: message)
    }

    init(domain: UInt32, code: UInt32, message: String) {
        self.domain = domain
        self.code = code
        self.message = message
    }

    init(_ error: bson_error_t) {
        let message = withUnsafeBytes(of: error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        self.init(domain: error.domain, code: error.code, message: message)
    }

    /// An error that is not known to be the fault of the document or the set-up counts as an outage. Waiting is visible and loses
    /// nothing; refusing an event by mistake would lose it.
    var verdict: StoreError.Code {
        switch mongoc_error_domain_t(rawValue: domain) {
        case MONGOC_ERROR_BSON: .refused
        case MONGOC_ERROR_COMMAND: code == MONGOC_ERROR_COMMAND_INVALID_ARG.rawValue ? .refused : serverVerdict
        case MONGOC_ERROR_CLIENT: code == MONGOC_ERROR_CLIENT_AUTHENTICATE.rawValue ? .misconfigured : .unavailable
        case MONGOC_ERROR_SASL, MONGOC_ERROR_SCRAM: .misconfigured
        case MONGOC_ERROR_SERVER, MONGOC_ERROR_QUERY, MONGOC_ERROR_COLLECTION: serverVerdict
        default: .unavailable
        }
    }

    /// Whether a write error with this code means that its document can never be stored. For an error of the whole command it does not: a
    /// server without a journal answers each insert with BadValue.
    var blamesDocument: Bool { verdict == .refused }

    private var serverVerdict: StoreError.Code {
        if isTimeLimit { return .timedOut }
        if Self.inputCodes.contains(code) { return .refused }
        if Self.blamesSetUp.contains(code) { return .misconfigured }
        return .unavailable
    }

    /// MaxTimeMSExpired of the query itself. The server uses the same code if a majority has not confirmed the operation's read point in
    /// time. That is a fault of the replica set, and a smaller query does not help.
    /// https://github.com/mongodb/mongo/blob/r6.0.5/src/mongo/db/repl/replication_coordinator_impl.cpp
    private var isTimeLimit: Bool { code == 50 && !message.utf8.starts(with: "Error waiting for".utf8) }

    func storeError(in operation: String) -> StoreError {
        StoreError(verdict, operation: operation, code == 0 ? message : "\(message) (\(code))", cause: self)
    }

    /// Sending the same document again can never succeed: BadValue, FailedToParse, TypeMismatch, Overflow, InvalidLength,
    /// InvalidBSON, DollarPrefixedFieldName, InvalidIdField, NotSingleValueField, InvalidDBRef, EmptyFieldName,
    /// DottedFieldName, CannotCreateIndex/IndexKey, DocumentValidationFailure, BSONObjectTooLarge, key too long and update
    /// too large of older servers, parallel arrays in an index, DuplicateKey (of an index added by hand).
    private static let inputCodes: Set<UInt32> = [
        2, 9, 14, 15, 16, 22, 52, 53, 54, 55, 56, 57, 121, 171, 10334, 17280, 17419, 17420, 11000, 16766,
    ]

    /// Unauthorized, AuthenticationFailed, IndexOptionsConflict, IndexKeySpecsConflict, InvalidNamespace, CommandNotFound,
    /// CannotCreateIndex, the authentication error of Atlas.
    static let blamesSetUp: Set<UInt32> = [13, 18, 59, 67, 73, 85, 86, 8000]

    static let duplicateKey: UInt32 = 11000
}
