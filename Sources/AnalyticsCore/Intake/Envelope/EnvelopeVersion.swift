/// The version of a message on the queue, its member `v`. Processors are deployed before APIs, so a reader meets older messages.
enum EnvelopeVersion {
    /// What is written. Every version from 1 to this is read.
    static let current: Int64 = 1

    /// Throws one line for the dead letter of a message that this program cannot read: one of a newer version, or of none.
    static func check(_ version: Int64?) throws(EnvelopeError) {
        guard let version, version >= 1 else { throw EnvelopeError("no version") }
        guard version <= current else {
            throw EnvelopeError("newer version: \(version); this program reads versions up to \(current)")
        }
    }
}
