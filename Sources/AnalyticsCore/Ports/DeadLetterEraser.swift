/// Deletes dead letters of erased events.
public protocol DeadLetterEraser: Sendable {
    /// Durably deletes the letters for which `isErased` is true, and keeps the others unchanged and in order. Can be repeated. Letters that
    /// cannot be read, and those for which it returns `nil`, are kept and counted.
    func eraseDeadLetters(where isErased: @escaping @Sendable (DeadLetter) -> Bool?) async throws(BrokerError) -> DeadLetterErasure

    /// Overwrites the remains of deleted messages in the queue's own files.
    func overwriteDeleted() async throws(BrokerError)
}

public struct DeadLetterErasure: Sendable, Equatable {
    public var erased = 0
    /// Messages that were not checked: whole deliveries, and those that are not a dead letter or have no readable event.
    public var unread = 0

    public init(erased: Int = 0, unread: Int = 0) {
        self.erased = erased
        self.unread = unread
    }

    /// Counts a message of the queue. Returns whether to delete it.
    package mutating func takes(_ body: [UInt8], _ decoder: DeadLetterDecoder, where isErased: (DeadLetter) -> Bool?) -> Bool {
        guard let letter = try? decoder.decode(body), letter.reason.keepsMessage, let isErased = isErased(letter) else {
            unread += 1
            return false
        }
        guard isErased else { return false }
        erased += 1
        return true
    }
}
