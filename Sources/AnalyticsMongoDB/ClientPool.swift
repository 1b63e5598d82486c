import AnalyticsCore
import CMongoShims
import NIOPosix
import Synchronization

/// Clients, and as many threads to block in their calls: neither an event loop nor the cooperative pool ever waits for a server.
///
/// `@unchecked Sendable`: `mongoc_client_pool_t` may be used from any thread (https://mongoc.org/libmongoc/1.23.1/connection-pooling.html);
/// a client leaves it for one thread at a time, inside ``run(_:_:)``, and the pointer is destroyed once, when no thread is left.
final class ClientPool: @unchecked Sendable {
    private let pool: OpaquePointer
    private let threads: NIOThreadPool
    private let database: String
    private let limits: TimeLimits
    /// What each operation has to see, and adds to; `nil` where operations need no session.
    private let readPoint: ReadPoint?
    /// Stops operations on the server whose task is cancelled; `nil` where the server goes on to their end.
    private let killer: SessionKiller?
    private let state: Mutex<State>

    private struct State {
        /// Operations that run or wait for a thread.
        var operations = 0
        var isOpen = true
    }

    /// Operations that may run and wait at once, so that callers who do not bound themselves are told, not queued without end.
    private let capacity: Int

    /// Call ``shutdown()`` before the last reference goes.
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

    /// Runs `body` with a client on a thread that may block. Cancelled while it waits for the thread, it does not run. Once it runs,
    /// it reads no further; a query or write that is under way is stopped on the server where the pool has a killer, and else goes on to
    /// its end, which the time limits bound.
    ///
    /// - Parameter seesUncommitted: It reads what may be rolled back: no later operation waits for that.
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

    /// Runs `body` with a client on a thread that may block, when one is free. Nobody waits for it, and after a shutdown it does not run.
    func submit(_ operation: String, _ body: @escaping @Sendable (Session) -> Void) {
        threads.submit { [self] state in
            guard state == .active else { return }
            try? withClient(operation, nil, seesUncommitted: true) { body($0) }
        }
    }

    /// Waits for what is running, which the time limits bound; what comes afterwards is told ``StoreError/Code/unavailable``.
    func shutdown() async {
        let wasOpen = state.withLock { state in
            defer { state.isOpen = false }
            return state.isOpen
        }
        guard wasOpen else { return }
        try? await threads.shutdownGracefully()
        // It joins the threads that watch the servers: not on the cooperative pool either.
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
        // Causally consistent, unless its options say otherwise.
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
