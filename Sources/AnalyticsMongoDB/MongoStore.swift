public import AnalyticsCore
import CMongoShims
public import Logging
import Synchronization

/// Keeps events and rollups in MongoDB 5.0 or newer: a standalone server, a replica set or a sharded cluster. No transactions.
///
/// Collections:
/// - `events`: `{_id: {project, id}, type, source, timestamp, …}`, what ``StoredEvent`` holds;
/// - `minutes`, `hours`, `days`: `{_id: {project, minute|hour|day: Date}, v, done, dirty, groups: Binary}`, mark and rollup in one (`groups`:
///   a ``GroupTable``; up to schema 2 an array `[{type, source, n, q?}]`, which is read);
/// - `reports`: `{_id: {project, request, first}, stored, duplicates, refused, at}`, for requests that wait; gone after 10 minutes;
/// - `projects`: `{_id: project, retentionDays, changedAt, closedBefore, watermark, erasures}`, what ``ProjectRecord`` holds;
/// - `visitor_secrets`: `{_id: day since 1970, secret}`, of the present day and the next;
/// - `erasures`: `{_id: {project, id}, revision, bytes: Binary}`, what an ``Erasure`` holds;
/// - `pipeline`: `{_id: {project, minute: Date, writer}, revision, counts, at}`, what a ``PipelineCell`` holds; gone after 25 hours;
/// - `meta`: `{_id: "schema", version}`, what ``prepare()`` brought the database to.
///
/// Every write is w:majority and j:true, and harmless when a server does it late, after the client has given up on it: an insert
/// is settled by its key, a mark is one more, a roll is a compare-and-set.
///
/// Calls block threads of the store's own. Each ends within the time limits: 5 s to find a primary, 3 s to connect, 30 s for an
/// answer, unless the connection string says otherwise.
public final class MongoStore: Store {
    private let pool: ClientPool
    /// A client of its own with short limits, so that a health check is not behind what it should tell of.
    private let healthPool: ClientPool
    private let timers = OperationTimers<StoreOperation>()
    let logger: Logger
    let readPoint: ReadPoint
    /// Whether most events of the last insert were there already: an import that is run again, a backlog that is redelivered.
    let sawRetries = Mutex(false)

    /// Connects lazily: a server that is away is no error here.
    ///
    /// - Parameters:
    ///   - uri: A MongoDB connection string. One that asks for a weaker write concern than majority and journaled is refused.
    ///   - database: Where to keep everything; `nil` takes it from the string, or else "analytics".
    ///   - poolSize: Connections, and threads, at the most; one more is for health checks.
    ///   - logger: Also for what the driver has to say; the first store's of the process.
    ///   - questionTimeout: For a store that only answers questions: each operation ends within this time, and is stopped on the server
    ///     when its task is cancelled. `nil` for one that writes.
    ///   - readPoint: Of the process's other store over the same database, so that each reads what the other has seen.
    /// - Throws: ``StoreError/Code/misconfigured`` for a connection string that cannot work.
    public init(
        uri: String, database: String? = nil, poolSize: Int = 8, questionTimeout: Duration? = nil, readPoint: ReadPoint = ReadPoint(),
        logger: Logger
    ) throws(StoreError) {
        self.logger = logger
        Driver.log(to: logger)
        let settings = try ConnectionSettings(uri, database: database)
        self.readPoint = readPoint
        healthPool = try ClientPool(settings, size: 1, limits: .health)
        pool = try ClientPool(
            settings, size: poolSize, limits: questionTimeout.map(settings.limits.questions) ?? settings.limits,
            readPoint: readPoint, killer: questionTimeout == nil ? nil : SessionKiller(healthPool))
    }

    /// Waits for the operations that run and lets go of every connection. To be called before the last reference goes.
    public func shutdown() async {
        await pool.shutdown()
        await healthPool.shutdown()
    }

    /// Asks for a primary that takes writes, within 2 seconds or so.
    public func checkHealth() async throws(StoreError) {
        try await run(.checkHealth, on: healthPool) { session throws(StoreError) in
            let isWritable = try session.command([("hello", 1)], on: "admin", writes: false) { $0["isWritablePrimary"]?.boolean }
            guard isWritable == true else {
                throw StoreError(.unavailable, operation: session.operation, "no primary takes writes")
            }
        }
    }

    /// For tests.
    func dropDatabase() async throws(StoreError) {
        try await pool.run("dropDatabase") { session throws(StoreError) in
            try session.command([("dropDatabase", 1)], writes: true) { _ in }
        }
    }

    /// What each operation goes through.
    func run<Value: Sendable>(
        _ operation: StoreOperation, on pool: ClientPool? = nil, seesUncommitted: Bool = false,
        _ body: @escaping @Sendable (Session) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        try await timers.time(operation) { () throws(StoreError) in
            try await (pool ?? self.pool).run(operation.rawValue, seesUncommitted: seesUncommitted, body)
        }
    }
}
