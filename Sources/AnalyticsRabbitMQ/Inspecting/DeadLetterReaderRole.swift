import AnalyticsCore

typealias DeadLetterReaderRole = DeadLetterRole<DeadLetterReading>

/// One page of the dead letters.
struct DeadLetterReading: DeadLetterPass {
    struct Outcome: Sendable {
        var page: DeadLetterPageBuilder
        /// Letters in the queue at the beginning.
        var waiting = 0
    }

    static let window = UInt16(DeadLetterLimit.maximumLetters)

    private let limit: DeadLetterLimit
    private(set) var outcome: Outcome

    init(_ limit: DeadLetterLimit) {
        self.limit = limit
        outcome = Outcome(page: DeadLetterPageBuilder(limit))
    }

    var isComplete: Bool { outcome.page.count >= min(outcome.waiting, limit.letters) }

    mutating func begin(waiting: Int) { outcome.waiting = waiting }

    func room(for size: Int) -> DeadLetterPageBuilder.Room { outcome.page.room(for: size) }

    mutating func take(_ letter: IncomingMessage, size: Int) {
        if letter.keepsBody { outcome.page.append(letter.body) } else { outcome.page.append(sizeOnly: size) }
    }

    mutating func acknowledgements() -> [UInt64] { [] }
}
