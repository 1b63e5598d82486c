public import AnalyticsCore
public import Logging
import NIOPosix
import Synchronization

/// The shared cache of counts, and the store of shared rates. If Redis is down, slow or hangs, a call waits at most 100 ms, and only
/// occasional calls wait.
///
/// hiredis writes with `write(2)`: the process must ignore SIGPIPE, otherwise a broken connection kills it.
public final class RedisCache: CountCache {
    /// A longer value is not stored.
    public static let maximumValueBytes = 1 << 20

    /// Every wait has a limit. A read or write on a silent connection ends after 50 ms. A call without a reply by then (slow name
    /// resolution, a reply that arrives in small pieces) returns after 100 ms, while its thread continues.
    fileprivate enum Limit {
        static let connect: Duration = .milliseconds(100)
        static let command: Duration = .milliseconds(50)
        static let waitForConnection: Duration = .milliseconds(50)
        static let call: Duration = .milliseconds(100)
        static let connections = 4
        static let waitingCalls = 128
    }

    fileprivate struct State {
        var breaker = RedisBreaker()
        var idle: [RedisConnection] = []
        /// Calls passed to the threads and not finished.
        var calls = 0
        /// The last logged failure that still holds; `nil` while Redis is available.
        var reported: String?
        /// The kinds of error replies that were logged: OOM, READONLY and others, which may follow every command.
        var refusals: Set<Substring> = []
        var isClosed = false
    }

    private let host: String
    private let port: Int
    private let password: String?
    let keyPrefix: String
    private let logger: Logger
    private let threads: NIOThreadPool
    private let state = Mutex(State())

    /// Connects on first use. The caller must call ``shutdown()``.
    ///
    /// - parameter keyPrefix: Precedes every key, so that several services can share one Redis.
    public init(host: String, port: Int, password: String?, keyPrefix: String = "analytics:", logger: Logger) {
        self.host = host
        self.port = port
        self.password = password
        self.keyPrefix = keyPrefix
        self.logger = logger
        threads = NIOThreadPool(numberOfThreads: Limit.connections)
        threads.start()
    }

    /// Lets running calls finish, and closes the connections.
    public func shutdown() async {
        let idle = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle
        }
        logger.debug("closing the cache", metadata: ["connections": "\(idle.count)"])
        do {
            try await threads.shutdownGracefully()
        } catch {
            logger.warning("the cache's threads did not stop", metadata: ["error": "\(error)"])
        }
    }

    public func value(for key: String) async -> CacheLookup {
        switch await perform(["GET".bytes, (keyPrefix + key).bytes]) {
        case .bytes(let value) where value.count <= Self.maximumValueBytes: .hit(value)
        case .bytes, .null: .miss
        case .ok, .refused, nil: .unavailable
        }
    }

    public func store(_ value: [UInt8], for key: String, timeToLive: Duration) async {
        let milliseconds = timeToLive.milliseconds
        guard milliseconds > 0, value.count <= Self.maximumValueBytes else { return }
        _ = await perform(["SET".bytes, (keyPrefix + key).bytes, value, "PX".bytes, "\(milliseconds)".bytes])
    }

    public func health() async -> Health {
        await perform(["PING".bytes]) == .ok ? .up : .down("does not answer")
    }

    /// `nil` if there was no reply in time, or if the call was not made.
    func perform(_ command: [[UInt8]]) async -> RedisConnection.Reply? {
        guard let attempt = state.withLock({ $0.admit() }) else { return nil }
        let started = ContinuousClock.now
        return await withCheckedContinuation { continuation in
            let answer = Answer(continuation)
            let timer = Task {
                try await Task.sleep(for: Limit.call)
                answer.give(nil)
            }
            threads.submit { [self] item in
                let isInTime = ContinuousClock.now - started < Limit.waitForConnection
                answer.give(item == .active && isInTime ? execute(command, attempt) : abandon(attempt))
                timer.cancel()
            }
        }
    }

    /// Blocks; runs on one of the threads.
    private func execute(_ command: [[UInt8]], _ attempt: RedisBreaker.Attempt) -> RedisConnection.Reply? {
        do {
            let reply = try reply(to: command)
            let note = state.withLock { $0.answered(reply, attempt) }
            report(note)
            return reply
        } catch {
            let message = (error as? RedisConnection.Failure)?.message ?? "\(error)"
            let note = state.withLock { $0.failed(message, attempt) }
            report(note)
            return nil
        }
    }

    private func abandon(_ attempt: RedisBreaker.Attempt) -> RedisConnection.Reply? {
        state.withLock { $0.abandoned(attempt) }
        return nil
    }

    private func reply(to command: [[UInt8]]) throws -> RedisConnection.Reply {
        if let idle = state.withLock({ $0.idle.popLast() }) {
            do {
                return try reply(to: command, on: idle)
            } catch let failure as RedisConnection.Failure where failure.isHangUp {
                // Redis was restarted, so the other connections are closed too. Every command can be repeated: tokens that a lost reply
                // leased are lost.
                state.withLock { $0.idle = [] }
            }
        }
        let fresh = try RedisConnection(
            host: host, port: port, password: password, connectTimeout: Limit.connect, timeout: Limit.command)
        return try reply(to: command, on: fresh)
    }

    private func reply(to command: [[UInt8]], on connection: RedisConnection) throws -> RedisConnection.Reply {
        let reply = try connection.command(command)
        state.withLock { if !$0.isClosed { $0.idle.append(connection) } }
        return reply
    }

    private func report(_ note: State.Note?) {
        switch note {
        case .trouble(let message):
            logger.warning("the cache is not available", metadata: ["host": "\(host)", "port": "\(port)", "error": "\(message)"])
        case .refused(let message):
            logger.warning("the cache refuses a command", metadata: ["host": "\(host)", "port": "\(port)", "error": "\(message)"])
        case .recovered:
            logger.notice("the cache is available again", metadata: ["host": "\(host)", "port": "\(port)"])
        case nil: break
        }
    }
}

extension RedisCache.State {
    /// What to log: changes, not every failure.
    enum Note {
        case trouble(String)
        case refused(String)
        case recovered
    }

    mutating func admit() -> RedisBreaker.Attempt? {
        guard !isClosed, calls < RedisCache.Limit.connections + RedisCache.Limit.waitingCalls else { return nil }
        guard let attempt = breaker.attempt(at: .now) else { return nil }
        calls += 1
        return attempt
    }

    mutating func answered(_ reply: RedisConnection.Reply, _ attempt: RedisBreaker.Attempt) -> Note? {
        calls -= 1
        breaker.succeeded(attempt)
        defer { reported = nil }
        if reported != nil { return .recovered }
        guard case .refused(let message) = reply, refusals.count < 16 else { return nil }
        return refusals.insert(message.cutUTF8(atFirst: " ")?.before ?? message[...]).inserted ? .refused(message) : nil
    }

    mutating func failed(_ message: String, _ attempt: RedisBreaker.Attempt) -> Note? {
        calls -= 1
        var random = SystemRandomNumberGenerator()
        breaker.failed(attempt, at: .now, using: &random)
        // One outage has many messages (refused, reset, timed out) and is logged once; a wrong password is logged separately.
        let kind = ["WRONGPASS", "NOAUTH", "ERR"].contains(where: message.starts(withUTF8:)) ? message : "away"
        defer { reported = kind }
        return reported == kind ? nil : .trouble(message)
    }

    mutating func abandoned(_ attempt: RedisBreaker.Attempt) {
        calls -= 1
        breaker.abandoned(attempt, at: .now)
    }
}

/// Resumes once; later calls are ignored.
private final class Answer: Sendable {
    private let continuation: Mutex<CheckedContinuation<RedisConnection.Reply?, Never>?>

    init(_ continuation: CheckedContinuation<RedisConnection.Reply?, Never>) {
        self.continuation = Mutex(continuation)
    }

    func give(_ reply: RedisConnection.Reply?) {
        let waiting = continuation.withLock { continuation in
            defer { continuation = nil }
            return continuation
        }
        waiting?.resume(returning: reply)
    }
}

extension String {
    fileprivate var bytes: [UInt8] { Array(utf8) }
}
