import AnalyticsCore
import CMongoC
import Foundation
import NIOPosix
import Synchronization

/// Stops operations on the server, over a client that is kept for it: those that are to stop may hold all others.
///
/// `@unchecked Sendable`: as ``ClientPool``. The client is used on the only thread.
final class SessionKiller: @unchecked Sendable {
    /// How often the server is told, and how long after each time: it may hear of the session's end before it hears of the operation.
    private static let tries = 20
    private static let pause = Duration.milliseconds(100)

    private let pool: OpaquePointer
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let pending = Mutex<[(stop: OperationStop, tries: Int)]>([])

    /// Call ``shutdown()`` before the last reference goes.
    init(_ settings: ConnectionSettings) throws(StoreError) {
        pool = try settings.makePool(of: 1, limits: .health)
        thread.start()
    }

    func kill(_ stop: OperationStop) {
        let isFirst = pending.withLock { pending in
            pending.append((stop, Self.tries))
            return pending.count == 1
        }
        guard isFirst else { return }
        thread.submit { [self] state in
            guard state == .active else { return }
            while killOnce() { Thread.sleep(forTimeInterval: Self.pause.seconds) }
        }
    }

    /// Returns whether there is more to be done.
    private func killOnce() -> Bool {
        let sessions = pending.withLock { pending in
            pending = pending.compactMap { $0.stop.sessionToKill == nil || $0.tries == 0 ? nil : ($0.stop, $0.tries - 1) }
            return pending.compactMap(\.stop.sessionToKill)
        }
        guard !sessions.isEmpty else { return false }
        if let ids = BSONDocument(documents: sessions), let client = mongoc_client_pool_pop(pool) {
            defer { mongoc_client_pool_push(pool, client) }
            // What stands against it passes, or the operation ends at its time limit.
            _ = ids.withPointer { cmongoc_kill_sessions(client, $0, nil) }
        }
        return true
    }

    func shutdown() async {
        try? await thread.shutdownGracefully()
        try? await NIOThreadPool.singleton.runIfActive { [self] in mongoc_client_pool_destroy(pool) }
    }
}
