internal import AnalyticsJSON

extension Event {
    /// 64 bits of SHA-256 over the client's content. Id, ingest id and time of receipt are left out, so a retry has the same fingerprint.
    /// The visitor id is left out too: the client does not send it, and it changes every day.
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
            // Only if present, so that events without it keep the fingerprint of earlier versions.
            if let anonymousId { hash.update(field: anonymousId) }
        }
        return Int64(bitPattern: high)
    }
}
