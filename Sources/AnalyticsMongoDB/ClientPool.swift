import AnalyticsCore
import CMongoShims
import NIOPosix
import Synchronization

/// A pool of clients, with one thread per client for blocking calls: no event loop and no thread of the cooperative pool waits for a
/// server.
///
/// `@unchecked Sendable`: `mongoc_client_pool_t` may be used from any thread (https://mongoc.org/libmongoc/1.23.1/connection-pooling.html).
/// One thread at a time uses a client, inside ``run(_:_:)``. The pool is destroyed once, when no thread is left.
final class ClientPool: @unchecked Sendable {
    private let pool: OpaquePointer
    private let threads: NIOThreadPool
    private let database: String
    private let limits: TimeLimits
    /// The point in time that each operation must see, and that it advances; `nil` if operations need no session.
    private let readPoint: ReadPoint?
    /// Stops the operations of cancelled tasks on the server; `nil` if the server runs them to their end.
    private let killer: SessionKiller?
    private let state: Mutex<State>

    private struct State {
        /// Operations that run or wait for a thread.
        var operations = 0
        var isOpen = true
    }

    /// Limit of operations that run or wait at once. Further ones fail immediately, so the queue is bounded.
    private let capacity: Int

    /// Call ``shutdown()`` before the last reference is released.
    init(
        _ settings: ConnectionSettings, size: Int, limits: TimeLimits, readPoint: ReadPoint? = nil, killer: SessionKiller? = nil
    ) throws(StoreError) {
        self.readPoint = readPoint
        self.killer = killer
        pool = try settings.makePool(of: size, limits: limits)
        database = settings.database
        self.limits = limits
        capacity = size * 128
        state = Mutex(State())
        threads = NIOThreadPool(numberOfThreads: size)
        threads.start()
    }

    /// Runs `body` with a client on a thread that may block. If it is cancelled while it waits for the thread, it does not run. If it is
    /// cancelled later, it reads no further; the query or write in progress is stopped on the server if the pool has a killer. Otherwise
    /// it runs to its end, within the time limits.
    ///
    /// - Parameter seesUncommitted: The operation reads data that may be rolled back; later operations do not wait for that data.
    func run<Value: Sendable>(
        _ operation: String, seesUncommitted: Bool = false, _ body: @escaping @Sendable (Session) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        try enter(operation)
        defer { state.withLock { $0.operations -= 1 } }
        let result: Result<Value, StoreError>
        let deadline = Deadline.current?.instant
        let longest = ContinuousClock.now + .milliseconds(Int(limits.serverSelection))
        let latest = min(longest, deadline ?? longest)
        let stop = OperationStop()
        do {
            result = try await withTaskCancellationHandler {
                try await threads.runIfActive { [self] in
                    Result { () throws(StoreError) -> Value in
                        // Queued past the deadline: fail; the caller has given up.
                        guard .now < latest else { throw StoreError(.unavailable, operation: operation, "waited too long for a thread") }
                        return try withClient(operation, stop, seesUncommitted: seesUncommitted) { session throws(StoreError) in
                            var session = session
                            session.deadline = deadline
                            return try body(session)
                        }
                    }
                }
            } onCancel: { [killer] in
                if stop.stop() { killer?.kill(stop) }
            }
        } catch {
            throw StoreError(.unavailable, operation: operation, "cancelled, or shut down")
        }
        return try result.get()
    }

    /// Runs `body` with a client on a thread that may block, as soon as one is free. The caller does not wait. After a shutdown it does not
    /// run.
    func submit(_ operation: String, _ body: @escaping @Sendable (Session) -> Void) {
        threads.submit { [self] state in
            guard state == .active else { return }
            try? withClient(operation, nil, seesUncommitted: true) { body($0) }
        }
    }

    /// Waits for running operations, which the time limits bound. Later operations fail with ``StoreError/Code/unavailable``.
    func shutdown() async {
        let wasOpen = state.withLock { state in
            defer { state.isOpen = false }
            return state.isOpen
        }
        guard wasOpen else { return }
        try? await threads.shutdownGracefully()
        // This joins the threads that monitor the servers, so it does not run on the cooperative pool.
        try? await NIOThreadPool.singleton.runIfActive { [self] in mongoc_client_pool_destroy(pool) }
    }

    private func enter(_ operation: String) throws(StoreError) {
        let refusal: String? = state.withLock { state in
            guard state.isOpen else { return "shut down" }
            guard state.operations < capacity else { return "\(capacity) operations are waiting already" }
            state.operations += 1
            return nil
        }
        if let refusal { throw StoreError(.unavailable, operation: operation, refusal) }
    }

    private func withClient<Value>(
        _ operation: String, _ stop: OperationStop?, seesUncommitted: Bool, _ body: (Session) throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        guard let client = mongoc_client_pool_pop(pool) else {
            throw StoreError(.unavailable, operation: operation, "no client became free in time")
        }
        defer { mongoc_client_pool_push(pool, client) }
        var session = Session(client: client, database: database, operation: operation, limits: limits)
        guard let readPoint else { return try body(session) }
        var error = bson_error_t()
        // Sessions are causally consistent by default.
        guard let handle = mongoc_client_start_session(client, nil, &error) else { throw ServerError(error).storeError(in: operation) }
        defer { mongoc_client_session_destroy(handle) }
        if let stop {
            guard let id = mongoc_client_session_get_lsid(handle), stop.begin(session: BSONView(id).identity) else {
                throw StoreError(.unavailable, operation: operation, "cancelled")
            }
        }
        defer { stop?.end() }
        readPoint.advance(handle)
        (session.handle, session.stop) = (handle, stop)
        let value = try body(session)
        if !seesUncommitted { readPoint.observe(handle) }
        return value
    }
}
