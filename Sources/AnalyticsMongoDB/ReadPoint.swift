import CMongoShims
import Synchronization

/// The newest state of the database that operations have seen. Each later operation reads a state at least as new, on any member
/// (docs/decisions/read-points.md). Stores of one process over the same database share a read point.
public final class ReadPoint: Sendable {
    struct Times {
        /// The time of the newest write seen: seconds and a counter, ordered together.
        var operation: UInt64
        /// The server's signed cluster time document; no earlier than `operation`. A server rejects an operation time later than
        /// the cluster time that it knows.
        var cluster: [UInt8]
    }

    let newest = Mutex<Times?>(nil)

    public init() {}

    /// Makes the session's reads wait until they see this state.
    func advance(_ session: OpaquePointer) {
        guard let times = newest.withLock({ $0 }), let cluster = bson_new_from_data(times.cluster, times.cluster.count) else { return }
        defer { bson_destroy(cluster) }
        mongoc_client_session_advance_cluster_time(session, cluster)
        mongoc_client_session_advance_operation_time(
            session, UInt32(times.operation >> 32), UInt32(truncatingIfNeeded: times.operation))
    }

    /// Advances to what the session has seen. A standalone server reports no times, and there is nothing to wait for.
    func observe(_ session: OpaquePointer) {
        var (seconds, counter): (UInt32, UInt32) = (0, 0)
        mongoc_client_session_get_operation_time(session, &seconds, &counter)
        let operation = UInt64(seconds) << 32 | UInt64(counter)
        guard operation > 0, let cluster = mongoc_client_session_get_cluster_time(session) else { return }
        let times = Times(operation: operation, cluster: BSONView(cluster).identity)
        newest.withLock { newest in
            if times.operation > newest?.operation ?? 0 { newest = times }
        }
    }
}
