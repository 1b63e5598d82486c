internal import AnalyticsJSON

extension Event {
    /// What the client said, in 64 bits of SHA-256: its id, its ingest id and the time of receipt left out, so that a retry has the same
    /// fingerprint and the same id with other content has another. A visitor id is not the client's, and changes from day to day.
    var fingerprint: Int64 {
        let (high, _) = digest128 { hash in
            hash.update(field: type)
            hash.update(field: source)
            hash.update(field: clientTimestamp.map { String($0.milliseconds) })
            hash.update(field: data?.text)
            hash.update(field: correlationId)
            hash.update(field: metadata?.text)
            hash.update(field: userId)
            hash.update(field: sessionId)
            // Only where it is there: without it the fingerprint is that of versions that did not know it.
            if let anonymousId { hash.update(field: anonymousId) }
        }
        return Int64(bitPattern: high)
    }
}
