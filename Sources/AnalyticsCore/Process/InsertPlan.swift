internal import Synchronization

/// Decides how to insert a set of events after a failure: again as it is, in halves, or without an event that can never be stored. A state
/// machine without I/O.
///
/// A failed insert blames no event: a store without a journal, or a misconfigured one, fails every insert with the same message. An event
/// is blamed in two cases only: the store names it (``InsertOutcome/refused(_:)``), or it fails alone, repeatedly and with the same
/// message, while other inserts succeed.
struct InsertPlan {
    enum Step: Equatable {
        /// Insert these events.
        case insert(Range<Int>)
        /// Insert this event to learn whether the store accepts any: it was tried alone before, or is part of a failing piece. The result
        /// does not decide about the event itself.
        case probe(Int)
        /// Every piece was tried and some failed: wait before the next step.
        case pause
    }

    /// Number of equal failures in a row after which a piece is halved, or a single event is dead-lettered.
    static let equalFailures = 5

    private struct Piece {
        var range: Range<Int>
        var failure: StoreError?
        /// Number in a row, including `failure`.
        var failures = 0
        /// Successes of other inserts at the first and at the last of these failures.
        var successesAtFirst = 0
        var successesAtLast = 0
    }

    /// Tried in this order; a round ends with the pause of ``next(successes:)``.
    private var pieces: [Piece]
    private var position = 0
    private var hasProbed = false
    private var probes = 0
    private let count: Int
    private var settled: [InsertOutcome?]

    init(count: Int) {
        self.count = count
        settled = Array(repeating: nil, count: count)
        pieces = count > 0 ? [Piece(range: 0..<count)] : []
    }

    /// One per event, in order; complete once ``next(successes:)`` returns `nil`.
    var outcomes: [InsertOutcome] { settled.compactMap(\.self) }

    /// The next step; `nil` if everything is settled. `successes`: number of successful inserts of this process.
    mutating func next(successes: Int) -> Step? {
        guard !pieces.isEmpty else { return nil }
        if position < pieces.count { return .insert(pieces[position].range) }
        if let probe = probe(successes: successes) { return .probe(probe) }
        (position, hasProbed) = (0, false)
        return .pause
    }

    /// To be called with the outcomes of a successful ``Step/insert(_:)``.
    mutating func succeeded(_ outcomes: [InsertOutcome]) {
        let piece = pieces.remove(at: position)
        for (index, outcome) in zip(piece.range, outcomes) { settled[index] = outcome }
    }

    /// To be called if a ``Step/insert(_:)`` failed as a whole.
    mutating func failed(_ error: StoreError, successes: Int) {
        var piece = pieces[position]
        let isEqual = piece.failure.map { $0.code == error.code && $0.message.utf8.elementsEqual(error.message.utf8) } ?? false
        let othersSinceLast = isEqual && successes > piece.successesAtLast
        if !isEqual { (piece.failures, piece.successesAtFirst) = (0, successes) }
        piece.failure = error
        piece.failures += 1
        piece.successesAtLast = successes
        // An outage does not blame the events, however often it occurs.
        let isSuspect = error.code == .refused && piece.failures >= Self.equalFailures && successes > piece.successesAtFirst
        if isSuspect, piece.range.count > 1 {
            let middle = piece.range.lowerBound + piece.range.count / 2
            let halves = [piece.range.lowerBound..<middle, middle..<piece.range.upperBound]
            // The halves continue the whole's series of failures, and are tried immediately.
            pieces.replaceSubrange(
                position...position,
                with: halves.map { half in
                    var half = Piece(range: half, failure: piece.failure, failures: piece.failures)
                    (half.successesAtFirst, half.successesAtLast) = (piece.successesAtFirst, piece.successesAtLast)
                    return half
                })
        } else if isSuspect, othersSinceLast {
            pieces.remove(at: position)
            settled[piece.range.lowerBound] = .refused(error.message)
        } else {
            pieces[position] = piece
            position += 1
        }
    }

    /// Without other traffic, a bad event cannot be distinguished from a store that accepts none. One event per round is then tried alone,
    /// in turn, and inserted again with its piece; inserts are idempotent.
    private mutating func probe(successes: Int) -> Int? {
        let isWithoutEvidence = pieces.contains {
            $0.failure?.code == .refused && $0.failures >= Self.equalFailures && successes <= $0.successesAtLast
        }
        let isAlone = pieces.count == 1 && pieces[0].range.count == 1
        guard isWithoutEvidence, !hasProbed, count > 1 else { return nil }
        hasProbed = true
        probes += 1
        let index = (probes - 1) % count
        return isAlone && index == pieces[0].range.lowerBound ? (index + 1) % count : index
    }
}

/// Counts successful inserts of all flushes of a process: evidence that the store accepts events while some fail.
final class InsertSuccesses: Sendable {
    private let count = Mutex(0)

    var value: Int { count.withLock { $0 } }

    func add() { count.withLock { $0 += 1 } }
}
