import AnalyticsCore

typealias DeadLetterEraserRole = DeadLetterRole<DeadLetterErasing>

/// Reads every dead letter, and acknowledges those to delete. All letters are taken, so that they return together and keep
/// their order: at most ``window``.
struct DeadLetterErasing: DeadLetterPass {
    struct Outcome: Sendable {
        var erasure = DeadLetterErasure()
        /// Letters in the queue at the beginning.
        var waiting = 0
    }

    /// The maximum of a prefetch.
    static let window = UInt16.max

    private let isErased: @Sendable (DeadLetter) -> Bool?
    private let decoder = DeadLetterDecoder()
    private(set) var outcome = Outcome()
    private var seen = 0
    private var erased: [UInt64] = []

    init(where isErased: @escaping @Sendable (DeadLetter) -> Bool?) {
        self.isErased = isErased
    }

    var isComplete: Bool { seen >= outcome.waiting }

    mutating func begin(waiting: Int) throws(BrokerError) {
        outcome = Outcome(waiting: waiting)
        (seen, erased) = (0, [])
        guard waiting <= Int(Self.window) else {
            throw BrokerError(.unavailable, "\(waiting) dead letters are more than the \(Self.window) that one pass can read")
        }
    }

    func room(for size: Int) -> DeadLetterPageBuilder.Room { size <= DeadLetterLimit.maximumBytes ? .body : .sizeOnly }

    mutating func take(_ letter: IncomingMessage, size: Int) {
        seen += 1
        if letter.keepsBody {
            if outcome.erasure.takes(letter.body, decoder, where: isErased) { erased.append(letter.tag) }
        } else {
            outcome.erasure.unread += 1
        }
    }

    mutating func acknowledgements() -> [UInt64] {
        defer { erased = [] }
        return erased
    }
}
