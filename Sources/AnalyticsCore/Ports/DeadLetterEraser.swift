/// Deletes dead letters of erased events.
public protocol DeadLetterEraser: Sendable {
    /// Deletes those for which `isErased` holds, durably, and leaves the others as they are and in their order. Can be repeated. Letters that
    /// cannot be read, and those for which it is `nil`, stay and are counted.
    func eraseDeadLetters(where isErased: @escaping @Sendable (DeadLetter) -> Bool?) async throws(BrokerError) -> DeadLetterErasure

    /// Overwrites what deleted messages have left in files of the queue's own.
    func overwriteDeleted() async throws(BrokerError)
}

public struct DeadLetterErasure: Sendable, Equatable {
    public var erased = 0
    /// Whole deliveries, and what is no dead letter or has no event in it that can be read: nobody has looked into them.
    public var unread = 0

    public init(erased: Int = 0, unread: Int = 0) {
        self.erased = erased
        self.unread = unread
    }

    /// Takes a message of the queue into account. Returns whether it is to be deleted.
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
