import CMongoShims
import Synchronization

/// How much of the database operations have seen. Each operation that begins later reads a state that is at least as new, on whichever
/// member (docs/decisions/read-points.md). Stores of one process over the same database share one.
public final class ReadPoint: Sendable {
    struct Times {
        /// Of the newest write that was seen: seconds and a counter, which order together.
        var operation: UInt64
        /// The server's document, with its signature; no earlier than `operation`. A server takes no operation time that is later than
        /// the cluster time it knows.
        var cluster: [UInt8]
    }

    let newest = Mutex<Times?>(nil)

    public init() {}

    /// Lets the session's reads wait until they see what has been seen.
    func advance(_ session: OpaquePointer) {
        guard let times = newest.withLock({ $0 }), let cluster = bson_new_from_data(times.cluster, times.cluster.count) else { return }
        defer { bson_destroy(cluster) }
        mongoc_client_session_advance_cluster_time(session, cluster)
        mongoc_client_session_advance_operation_time(
            session, UInt32(times.operation >> 32), UInt32(truncatingIfNeeded: times.operation))
    }

    /// Adds what the session has seen. A standalone server tells no times: there is nothing to wait for.
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
