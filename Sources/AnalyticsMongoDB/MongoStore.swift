public import AnalyticsCore
import CMongoShims
public import Logging
import Synchronization

/// Stores events and rollups in MongoDB 5.0 or newer: a standalone server, a replica set or a sharded cluster. Uses no transactions.
///
/// Collections:
/// - `events`: `{_id: {project, id}, type, source, timestamp, …}`, a ``StoredEvent``;
/// - `minutes`, `hours`, `days`: `{_id: {project, minute|hour|day: Date}, v, done, dirty, groups: Binary}`, mark and rollup in one document
///   (`groups`: a ``GroupTable``; up to schema 2 an array `[{type, source, n, q?}]`, still readable);
/// - `reports`: `{_id: {project, request, first}, stored, duplicates, refused, at}`, for waiting requests; deleted after 10 minutes;
/// - `projects`: `{_id: project, retentionDays, changedAt, closedBefore, watermark, erasures, title, …}`, a ``ProjectRecord``;
/// - `keys`: `{_id, digest: Binary, project, scope, name, prefix, maker, createdAt, …}`, a ``StoredKey``;
/// - `records`: `{_id: {kind, id}, owner, revision, expiresAt, body: Binary}`, a ``Record``;
/// - `visitor_secrets`: `{_id: day since 1970, secret}`, of the current day and the next;
/// - `erasures`: `{_id: {project, id}, revision, bytes: Binary}`, an ``Erasure``;
/// - `pipeline`: `{_id: {project, minute: Date, writer}, revision, counts, at}`, a ``PipelineCell``; deleted after 25 hours;
/// - `meta`: `{_id: "schema", version}`, the version that ``prepare()`` upgraded the database to; `{_id: "anonymousAccessClosed", at}`.
///
/// Every write is w:majority and j:true. It is harmless if the server applies it late, after the client has timed out: an insert
/// is settled by its key, a mark only marks once more, a roll is a compare-and-set.
///
/// Calls block threads of the store's own. Each ends within the time limits: 5 s to find a primary, 3 s to connect, 30 s for a
/// reply, unless the connection string sets others.
public final class MongoStore: Store {
    private let pool: ClientPool
    /// A separate client with short limits, so that a health check does not queue behind the operations it checks.
    private let healthPool: ClientPool
    /// For keys and single records, which requests wait for: other operations may occupy the pool, and its time limits are longer than a
    /// request may wait. `nil` in a store that only answers questions.
    let keyPool: ClientPool?
    private let timers = OperationTimers<StoreOperation>()
    let logger: Logger
    let readPoint: ReadPoint
    /// Whether most events of the last insert were stored already, as in a repeated import or a redelivered backlog.
    let sawRetries = Mutex(false)

    /// Connects lazily: an unavailable server is not an error here.
    ///
    /// - Parameters:
    ///   - uri: A MongoDB connection string. One with a weaker write concern than majority and journaled is refused.
    ///   - database: The database to use; `nil` takes it from the connection string, or "analytics".
    ///   - poolSize: Maximum of connections and threads; one more of each is for health checks, and two for keys.
    ///   - logger: Also receives the driver's messages, if this is the first store of the process.
    ///   - questionTimeout: For a store that only answers questions: each operation ends within this time, and is stopped on the server
    ///     when its task is cancelled. `nil` for a store that writes.
    ///   - readPoint: Shared with the process's other store over the same database, so that each reads what the other has seen.
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
        keyPool = try questionTimeout == nil ? ClientPool(settings, size: 2, limits: .health, readPoint: readPoint) : nil
        pool = try ClientPool(
            settings, size: poolSize, limits: questionTimeout.map(settings.limits.questions) ?? settings.limits,
            readPoint: readPoint, killer: questionTimeout == nil ? nil : SessionKiller(healthPool))
    }

    /// Waits for running operations and closes all connections. Call it before the last reference is released.
    public func shutdown() async {
        await pool.shutdown()
        await keyPool?.shutdown()
        await healthPool.shutdown()
    }

    /// Checks for a primary that accepts writes, within about 2 seconds.
    public func checkHealth() async throws(StoreError) {
        try await run(.checkHealth, on: healthPool) { session throws(StoreError) in
            let isWritable = try session.command([("hello", 1)], on: "admin", writes: false) { $0["isWritablePrimary"]?.boolean }
            guard isWritable == true else {
                throw StoreError(.unavailable, operation: session.operation, "no primary accepts writes")
            }
        }
    }

    /// For tests.
    func dropDatabase() async throws(StoreError) {
        try await pool.run("dropDatabase") { session throws(StoreError) in
            try session.command([("dropDatabase", 1)], writes: true) { _ in }
        }
    }

    func run<Value: Sendable>(
        _ operation: StoreOperation, on pool: ClientPool? = nil, seesUncommitted: Bool = false,
        _ body: @escaping @Sendable (Session) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        try await timers.time(operation) { () throws(StoreError) in
            try await (pool ?? self.pool).run(operation.rawValue, seesUncommitted: seesUncommitted, body)
        }
    }
}
