import AnalyticsCore
import CMongoShims
import Foundation
import Synchronization

/// Stops operations on the server. Uses the health checks' client, because the operations to stop may occupy all others.
final class SessionKiller: Sendable {
    /// Number of kill commands, and the pause between them: the server may get the kill command before the operation.
    private static let tries = 20
    private static let pause = Duration.milliseconds(100)

    private let pool: ClientPool
    private let pending = Mutex<[(stop: OperationStop, tries: Int)]>([])

    init(_ pool: ClientPool) {
        self.pool = pool
    }

    func kill(_ stop: OperationStop) {
        let isFirst = pending.withLock { pending in
            pending.append((stop, Self.tries))
            return pending.count == 1
        }
        guard isFirst else { return }
        pool.submit("killSessions") { [self] session in
            while killOnce(session) { Thread.sleep(forTimeInterval: Self.pause.seconds) }
        }
    }

    /// Returns whether operations are left to stop.
    private func killOnce(_ session: Session) -> Bool {
        let (stops, sessions) = pending.withLock { pending in
            let found = pending.compactMap { entry in entry.tries == 0 ? nil : entry.stop.beginKill().map { (entry, $0) } }
            pending = found.map { ($0.0.stop, $0.0.tries - 1) }
            return (found.map(\.0.stop), found.map(\.1))
        }
        defer { for stop in stops { stop.endKill() } }
        guard !sessions.isEmpty else { return false }
        // A failure is ignored: it is temporary, or the operation ends at its time limit.
        if let ids = BSONDocument(documents: sessions) { _ = ids.withPointer { cmongoc_kill_sessions(session.client, $0, nil) } }
        return true
    }
}
