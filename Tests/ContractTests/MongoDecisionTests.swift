import AnalyticsCore
import CMongoShims
import TestSupport
import Testing

@testable import AnalyticsMongoDB

/// What the MongoDB store decides without a server.
@Suite("MongoDB store: decisions")
struct MongoDecisionTests {
    @Test(
        "a connection string that asks for a weaker write concern is refused, by its name",
        arguments: ["w=1", "w=0", "w=2", "w=here", "journal=false"])
    func weak(option: String) {
        #expect {
            try MongoStore(uri: "mongodb://localhost/?\(option)", logger: quiet)
        } throws: { error in
            guard let error = error as? StoreError else { return false }
            return error.code == .misconfigured && error.message.contains(option)
        }
    }

    @Test(
        "one that asks for what is done anyway is taken",
        arguments: ["w=majority", "journal=true", "w=majority&journal=true", "retryWrites=false"])
    func strong(option: String) async throws {
        let store = try MongoStore(uri: "mongodb://localhost/?\(option)", poolSize: 1, logger: quiet)
        await store.shutdown()
    }

    @Test("what is no connection string is refused, and no password is repeated")
    func malformed() {
        for uri in ["localhost", "http://localhost", "mongodb://user:secret:@@localhost", "mongodb://user:secret@localhost:port", ""] {
            #expect {
                try MongoStore(uri: uri, logger: quiet)
            } throws: { error in
                guard let error = error as? StoreError else { return false }
                return error.code == .misconfigured && !error.message.contains("secret")
            }
        }
    }

    @Test("the database is the argument's, the connection string's, or analytics")
    func database() throws {
        #expect(try ConnectionSettings("mongodb://h/one", database: "two").database == "two")
        #expect(try ConnectionSettings("mongodb://h/one", database: nil).database == "one")
        #expect(try ConnectionSettings("mongodb://h", database: nil).database == "analytics")
    }

    @Test("the connection string's time limits hold")
    func limits() throws {
        let settings = try ConnectionSettings("mongodb://h/?socketTimeoutMS=900", database: nil)
        #expect(settings.limits.socket == 900 && settings.limits.serverSelection == 5000)
        #expect((1..<900).contains(settings.limits.serverTime))
        #expect(try ConnectionSettings("mongodb://h/?socketTimeoutMS=0", database: nil).limits.socket == 30_000)
    }

    static func duplicate(_ index: Int64) -> BSON {
        ["index": .integer(index), "code": 11000, "keyPattern": ["_id": 1], "errmsg": "E11000 duplicate key"]
    }

    static func reply(_ fields: [(String, BSON)]) -> BulkReply {
        let bytes = BSONDocument(fields)?.bytes ?? []
        return bytes.withUnsafeBytes { BulkReply(BSONView($0)) }
    }

    @Test("a write concern that failed stands against the bulk, behind duplicates too")
    func writeConcernBehindDuplicates() {
        let reply = Self.reply([
            ("nInserted", 1), ("writeErrors", [Self.duplicate(1)]),
            ("writeConcernErrors", [["code": 64, "errmsg": "waiting for replication timed out"]]),
        ])
        let failure = reply.failure(.server(11000, "E11000 duplicate key"))
        #expect(failure?.verdict == .unavailable)
    }

    @Test("write errors alone do not stand against the bulk; the connection's error does")
    func connectionBehindDuplicates() {
        let reply = Self.reply([("nInserted", 1), ("writeErrors", [Self.duplicate(1)])])
        #expect(reply.failure(.server(11000, "Multiple write errors")) == nil)
        #expect(reply.failure(nil) == nil)
        let lost = ServerError(domain: MONGOC_ERROR_STREAM.rawValue, code: MONGOC_ERROR_STREAM_SOCKET.rawValue, message: "lost")
        #expect(reply.failure(lost)?.verdict == .unavailable)
        #expect(reply.failure(.server(10107, "not primary"))?.verdict == .unavailable)
    }

    @Test("an empty reply is a failure of this side")
    func emptyReply() {
        let tooLarge = ServerError(domain: MONGOC_ERROR_BSON.rawValue, code: MONGOC_ERROR_BSON_INVALID.rawValue, message: "too large")
        #expect(Self.reply([]).failure(tooLarge)?.verdict == .refused)
        #expect(Self.reply([]).failure(.server(11000, "?")) != nil)
    }

    @Test("codes that pass are outages, codes of the input are refusals; only a document's own write error blames it")
    func verdicts() throws {
        for code: UInt32 in [6, 7, 8, 24, 64, 89, 91, 112, 133, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 14031, 424_242] {
            #expect(ServerError.server(code, "").verdict == .unavailable, "\(code)")
        }
        for code: UInt32 in [2, 9, 14, 22, 53, 56, 121, 10334, 11000, 17280] {
            #expect(ServerError.server(code, "").verdict == .refused, "\(code)")
            // Of the whole command: thrown, and no outcome of any event.
            let failure = Self.reply([("nInserted", 0)]).failure(.server(code, "whole"))
            #expect(failure?.storeError(in: "insert").code == .refused, "\(code)")
            var insertion = Insertion([stored("a"), stored("b")])
            let batch = insertion.nextBatch() ?? []
            let blamed: BSON = ["index": 1, "code": .integer(Int64(code)), "errmsg": "no", "keyPattern": ["other": 1]]
            try insertion.settle(batch, Self.reply([("nInserted", 1), ("writeErrors", [blamed])]))
            #expect(insertion.outcomes == [.stored, .refused("no (\(code))")])
        }
        for code: UInt32 in [13, 18, 85, 86] { #expect(ServerError.server(code, "").verdict == .misconfigured, "\(code)") }
        #expect(ServerError.server(50, "operation exceeded time limit").verdict == .timedOut)
        let lagging =
            "Error waiting for snapshot not less than { ts: Timestamp(5, 1), t: -1 }. :: caused by :: operation exceeded time limit"
        #expect(ServerError.server(50, lagging).verdict == .unavailable)
        for domain in [MONGOC_ERROR_SERVER_SELECTION, MONGOC_ERROR_STREAM, MONGOC_ERROR_PROTOCOL, MONGOC_ERROR_POOL] {
            #expect(ServerError(domain: domain.rawValue, code: 2, message: "").verdict == .unavailable)
        }
    }

    @Test("each event of a batch gets its own outcome")
    func settling() throws {
        let events = (0..<5).map { stored("\($0)", fingerprint: Int64($0)) }
        var insertion = Insertion(events)
        let batch = insertion.nextBatch() ?? []
        let rest = insertion.nextBatch()
        #expect(batch.count == 5 && rest == nil)
        let tooLarge: BSON = ["index": 3, "code": 10334, "errmsg": "object to insert too large"]
        let errors: [BSON] = [Self.duplicate(0), Self.duplicate(1), Self.duplicate(2), tooLarge]
        try insertion.settle(batch, Self.reply([("nInserted", 1), ("writeErrors", .array(errors))]))
        #expect(insertion.taken.map(\.event.id) == ["0", "1", "2"])
        func id(_ id: String) -> [UInt8] { BSONDocument([("project", "p"), ("id", .string(id))])?.bytes ?? [] }
        try insertion.settleTaken([
            id("0"): .init(ingestID: "r-0", fingerprint: 9, timestamp: noon),
            id("1"): .init(ingestID: "x", fingerprint: 1, timestamp: noon - .seconds(60)),
            id("2"): .init(ingestID: "x", fingerprint: 1, timestamp: noon),
        ])
        #expect(
            insertion.outcomes == [
                .redelivered, .duplicate(heldAt: noon - .seconds(60)), .conflict(heldAt: noon),
                .refused("object to insert too large (10334)"), .stored,
            ])
    }

    @Test("what is known to be stored is not sent again, but for one that waits for the journal")
    func skipping() throws {
        func id(_ id: String) -> [UInt8] { BSONDocument([("project", "p"), ("id", .string(id))])?.bytes ?? [] }
        var insertion = Insertion((0..<4).map { stored("\($0)", fingerprint: 1) })
        insertion.skip(["0", "1", "3"].reduce(into: [:]) { $0[id($1)] = .init(ingestID: "r-\($1)", fingerprint: 1, timestamp: noon) })
        let batch = insertion.nextBatch() ?? []
        #expect(batch.map(\.index) == [2, 3])
        try insertion.settle(batch, Self.reply([("nInserted", 1), ("writeErrors", [Self.duplicate(1)])]))
        #expect(insertion.taken.isEmpty)
        try insertion.settleTaken([:])
        #expect(insertion.outcomes == [.redelivered, .redelivered, .stored, .redelivered])
    }

    @Test("what is not known to be settled is an outage")
    func unsettled() throws {
        func settle(_ fields: [(String, BSON)]) throws {
            var insertion = Insertion([stored("a"), stored("b")])
            let batch = insertion.nextBatch() ?? []
            try insertion.settle(batch, Self.reply(fields))
            if !insertion.taken.isEmpty { try insertion.settleTaken([:]) }
        }
        let notPrimary: BSON = ["index": 0, "code": 10107, "errmsg": "not primary"]
        for fields: [(String, BSON)] in [
            [("nInserted", 1)], [("nInserted", 1), ("writeErrors", [notPrimary])],
            [("nInserted", 1), ("writeErrors", [Self.duplicate(7)])],
            [("nInserted", 1), ("writeErrors", [Self.duplicate(0)])],
        ] {
            #expect { try settle(fields) } throws: { ($0 as? StoreError)?.code == .unavailable }
        }
    }

    @Test("a condition's filter grows with its path by a few bytes per key, and not by a factor")
    func conditionSize() throws {
        func size(_ path: [String], _ value: String) throws -> Int {
            let filter = Selection(project: "p", data: [DataCondition(path: path, values: [value])])
            return try #require(EventQuery.segments(filter, after: nil)).reduce(0) { $0 + (BSONDocument($1)?.count ?? 0) }
        }
        for value in ["null", "1", "true", "x"] {
            let long = try size(Array(repeating: "a", count: DataCondition.maximumKeys), value)
            #expect(long < 600, "\(value): \(long) bytes")
        }
        let numbered = try size(Array(repeating: "0", count: DataCondition.maximumKeysWithNumber), "null")
        #expect(numbered < 8_000, "\(numbered) bytes")
        let tooLong = Selection(project: "p", data: [DataCondition(path: Array(repeating: "0", count: 20), values: ["null"])])
        #expect(EventQuery.segments(tooLong, after: nil) == nil)
    }

    @Test("ranges are put in order and joined, and cut into queries")
    func ranges() {
        #expect(Ranges.normalised([5..<9, 1..<2, 8..<12, 3..<3, 2..<4]) == [1..<4, 5..<12])
        let minute: Int64 = 60_000
        let apart = (0..<1200).map { $0 * minute..<$0 * minute + 1 }
        #expect(Ranges.queries(apart).map(\.count) == [500, 500, 200])
        #expect(Ranges.queries([]).isEmpty)
    }

    @Test("bytes that are no BSON end the document, and nothing is read beyond them")
    func malformedBSON() {
        let fields: [(String, BSON)] = [("a", "text"), ("b", ["c": [1, .double(2.5), .null]]), ("d", .date(noon)), ("e", true)]
        let whole = BSONDocument(fields)?.bytes ?? []
        for length in 0..<whole.count {
            Array(whole.prefix(length)).withUnsafeBytes { bytes in
                func walk(_ view: BSONView) {
                    for element in view {
                        _ = element.string
                        _ = element.integer
                        element.document.map(walk)
                    }
                }
                walk(BSONView(bytes))
            }
        }
        for position in whole.indices {
            for value: UInt8 in [0, 1, 2, 3, 4, 5, 7, 16, 18, 127, 128, 255] {
                var broken = whole
                broken[position] = value
                broken.withUnsafeBytes { bytes in
                    func walk(_ view: BSONView) {
                        for element in view {
                            _ = element.string
                            _ = element.integer
                            element.document.map(walk)
                        }
                    }
                    walk(BSONView(bytes))
                }
            }
        }
        whole.withUnsafeBytes { #expect(BSONView($0)["d"]?.date == noon) }
    }
}
