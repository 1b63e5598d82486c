/// The version of a message on the queue, its member `v`. Processors are deployed before APIs, so a reader meets older messages.
enum EnvelopeVersion {
    /// Events of one request (``EnvelopeEncoder``).
    static let single: Int64 = 1
    /// Several of these (``JoinedMessage``).
    static let joined: Int64 = 2
    /// Every version from 1 to this is read.
    static let newest = joined

    /// Throws one line for the dead letter of a message that this program cannot read: one of a newer version, or of none.
    static func check(_ version: Int64?) throws(EnvelopeError) {
        guard let version, version >= 1 else { throw EnvelopeError("no version") }
        guard version <= newest else {
            throw EnvelopeError("newer version: \(version); this program reads versions up to \(newest)")
        }
    }
}
