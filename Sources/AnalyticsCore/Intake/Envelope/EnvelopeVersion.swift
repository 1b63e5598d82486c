/// The version of a queue message, its member `v`. Processors are deployed before APIs, so a reader meets older messages.
enum EnvelopeVersion {
    /// Events of one request (``EnvelopeEncoder``).
    static let single: Int64 = 1
    /// Several messages of version ``single`` (``JoinedMessage``).
    static let joined: Int64 = 2
    /// All versions from 1 to this are read.
    static let newest = joined

    /// Throws a one-line reason for the dead letter if the version is missing or newer.
    static func check(_ version: Int64?) throws(EnvelopeError) {
        guard let version, version >= 1 else { throw EnvelopeError("no version") }
        guard version <= newest else {
            throw EnvelopeError("newer version: \(version); this program reads versions up to \(newest)")
        }
    }
}
