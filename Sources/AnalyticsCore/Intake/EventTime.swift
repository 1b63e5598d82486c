/// Decides an event's final timestamp.
enum EventTime {
    /// The client's time, corrected by the error of its clock when it sent the request; the time of receipt if it sent none.
    ///
    /// `receivedAt − (sentAt − timestamp)`: the event's age by the client's clock, subtracted from the time of receipt by the service's
    /// clock.
    static func decide(
        client: Timestamp?, sentAt: Timestamp?, receivedAt: Timestamp, limits: EventLimits, horizon: IngestHorizon
    ) throws(Rejection) -> Timestamp {
        guard let client else { return receivedAt }
        let timestamp = sentAt.map { receivedAt - ($0 - client) } ?? client
        guard timestamp >= .earliest else {
            throw Rejection(field: "timestamp", code: .invalidTimestamp, message: FieldRules.timestampHelp("timestamp"))
        }
        guard timestamp <= receivedAt + limits.maximumFutureSkew else {
            throw Rejection(
                field: "timestamp", code: .timestampInFuture,
                message: "'timestamp' \(timestamp.rfc3339) lies more than \(limits.maximumFutureSkew.milliseconds / 1000) s ahead of "
                    + "the time of receipt, \(receivedAt.rfc3339).")
        }
        if let retention = horizon.retention, timestamp < receivedAt - retention {
            throw tooOld(timestamp, "is older than the retention window of \(retention.milliseconds / 86_400_000) days.")
        }
        if let closed = horizon.closedBefore, timestamp < closed {
            throw tooOld(timestamp, "lies before \(closed.rfc3339): events of that time are deleted.")
        }
        return timestamp
    }

    private static func tooOld(_ timestamp: Timestamp, _ why: String) -> Rejection {
        Rejection(field: "timestamp", code: .timestampTooOld, message: "'timestamp' \(timestamp.rfc3339) \(why)")
    }
}
