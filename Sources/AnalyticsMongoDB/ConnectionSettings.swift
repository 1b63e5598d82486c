import AnalyticsCore
import CMongoShims
import Foundation

/// Time limits of the driver, in milliseconds. libmongoc's defaults are 30 s to select a server, 10 s to connect and 5 minutes for a reply.
struct TimeLimits: Sendable {
    var serverSelection: Int32 = 5_000
    var connect: Int32 = 3_000
    var socket: Int32 = 30_000
    /// The queries of one operation together may take this many times ``serverTime``.
    var serverTimes: Int32 = 4
    var isForQuestions = false

    /// For health checks and keys: the reply must arrive before the caller's timeout.
    static let health = TimeLimits(serverSelection: 1_500, connect: 1_000, socket: 1_500)

    /// For questions, which have their own deadline: the server stops at that deadline, and no operation takes longer.
    func questions(within timeout: Duration) -> TimeLimits {
        var limits = self
        limits.socket = Int32(clamping: Int64(timeout.seconds * 1000) * 6 / 5 + 1)
        limits.serverTimes = 1
        limits.isForQuestions = true
        return limits
    }

    /// The time limit sent to the server. It is shorter than the client's, so the server stops first.
    var serverTime: Int32 { max(1, socket - socket / 6) }

    /// The server's time limit for one query of a count. A query that exceeds it is halved and its time is lost, so the limit is short.
    var countTime: Int32 { max(1, serverTime / 8) }

    /// The time limit for all queries of a count.
    var wholeCount: Duration { .milliseconds(Int64(serverTime) * Int64(serverTimes)) }
}

/// A checked connection string. Owns a `mongoc_uri_t`.
///
/// Writes are always acknowledged by a majority with their journals. Reads go to the primary and see only majority-committed data.
/// Anything weaker lost acknowledged writes after kill -9, so a connection string that asks for less is refused.
final class ConnectionSettings {
    private let uri: OpaquePointer
    let database: String
    let limits: TimeLimits

    init(_ text: String, database: String?) throws(StoreError) {
        // All calls to the driver use objects made from these settings.
        try Driver.start()
        var error = bson_error_t()
        guard let uri = mongoc_uri_new_with_error(text, &error) else {
            // libmongoc's message may quote the user and password before the "@".
            let reason = text.containsUTF8("@") ? "user and password must be percent-encoded" : ServerError(error).message
            throw StoreError(.misconfigured, operation: "connect", "not a MongoDB connection string: \(reason)")
        }
        self.uri = uri
        self.database = database ?? mongoc_uri_get_database(uri).map { String(cString: $0) } ?? "analytics"
        // Zero would mean no limit, and every wait here has one.
        func limit(_ option: String, _ standard: Int32) -> Int32 {
            let wanted = mongoc_uri_get_option_as_int32(uri, option, standard)
            return wanted > 0 ? wanted : standard
        }
        let standard = TimeLimits()
        limits = TimeLimits(
            serverSelection: limit(MONGOC_URI_SERVERSELECTIONTIMEOUTMS, standard.serverSelection),
            connect: limit(MONGOC_URI_CONNECTTIMEOUTMS, standard.connect), socket: limit(MONGOC_URI_SOCKETTIMEOUTMS, standard.socket))
        try checkWriteConcern()
        try check(MONGOC_URI_TLSCAFILE, named: "tlsCAFile", has: "CERTIFICATE")
        try check(MONGOC_URI_TLSCERTIFICATEKEYFILE, named: "tlsCertificateKeyFile", has: "CERTIFICATE", "PRIVATE KEY")
    }

    deinit {
        mongoc_uri_destroy(uri)
    }

    /// A pool of clients with these limits. The caller destroys it.
    func makePool(of size: Int, limits: TimeLimits) throws(StoreError) -> OpaquePointer {
        let uri = mongoc_uri_copy(self.uri)
        defer { mongoc_uri_destroy(uri) }
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, limits.serverSelection)
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, limits.connect)
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, limits.socket)
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_WAITQUEUETIMEOUTMS, limits.serverSelection)
        Self.setConcerns(uri, limits)
        var error = bson_error_t()
        guard let pool = mongoc_client_pool_new_with_error(uri, &error) else {
            throw ServerError(error).storeError(in: "connect")
        }
        mongoc_client_pool_set_error_api(pool, MONGOC_ERROR_API_VERSION_2)
        // The server's log and profiler tell questions from writes by this name.
        mongoc_client_pool_set_appname(pool, limits.isForQuestions ? "analytics questions" : "analytics")
        mongoc_client_pool_max_size(pool, UInt32(size))
        return pool
    }

    private static func setConcerns(_ uri: OpaquePointer?, _ limits: TimeLimits) {
        let write = mongoc_write_concern_new()
        mongoc_write_concern_set_wmajority(write, limits.serverTime)
        mongoc_write_concern_set_journal(write, true)
        mongoc_uri_set_write_concern(uri, write)
        mongoc_write_concern_destroy(write)

        let read = mongoc_read_concern_new()
        mongoc_read_concern_set_level(read, MONGOC_READ_CONCERN_LEVEL_MAJORITY)
        mongoc_uri_set_read_concern(uri, read)
        mongoc_read_concern_destroy(read)

        let primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY)
        mongoc_uri_set_read_prefs_t(uri, primary)
        mongoc_read_prefs_destroy(primary)
    }

    private func checkWriteConcern() throws(StoreError) {
        let concern = mongoc_uri_get_write_concern(uri)
        let w = mongoc_write_concern_get_w(concern)
        if mongoc_write_concern_journal_is_set(concern), !mongoc_write_concern_get_journal(concern) {
            throw Self.weak("journal=false")
        }
        switch w {
        case MONGOC_WRITE_CONCERN_W_DEFAULT, MONGOC_WRITE_CONCERN_W_MAJORITY: return
        case MONGOC_WRITE_CONCERN_W_TAG: throw Self.weak("w=" + (mongoc_write_concern_get_wtag(concern).map { String(cString: $0) } ?? ""))
        default: throw Self.weak("w=\(w)")
        }
    }

    /// Bytes of a file that are read.
    private static let longestFile = 1 << 20

    /// Checks the file of an option for TLS. libmongoc would report only that no server is found.
    private func check(_ option: String, named name: String, has parts: String...) throws(StoreError) {
        guard let file = mongoc_uri_get_option_as_utf8(uri, option, nil).map({ String(cString: $0) }) else { return }
        let bytes: [UInt8]
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
            defer { try? handle.close() }
            bytes = [UInt8](try handle.read(upToCount: Self.longestFile) ?? Data())
        } catch {
            throw StoreError(
                .misconfigured, operation: "connect",
                "\(name)=\(file) of the connection string cannot be read: \(error.localizedDescription)")
        }
        for part in parts where bytes.firstRange(of: "\(part)-----".utf8) == nil {
            throw StoreError(
                .misconfigured, operation: "connect", "\(name)=\(file) of the connection string has no \(part) in PEM format")
        }
    }

    private static func weak(_ option: String) -> StoreError {
        StoreError(
            .misconfigured, operation: "connect",
            "the connection string asks for \(option); writes are always w=majority with journal=true: leave it out")
    }
}
