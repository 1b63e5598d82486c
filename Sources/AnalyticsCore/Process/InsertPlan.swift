internal import Synchronization

/// Decides how a set of events is inserted when inserts fail: again as it is, in halves, or without an event that can never be stored.
/// A state machine without I/O.
///
/// A failed insert blames no event: a store without a journal, or one that is set up wrongly, fails every insert in the same words.
/// An event is blamed in two cases only: the store names it (``InsertOutcome/refused(_:)``), or it fails alone, time after time in the
/// same words, while other inserts succeed.
struct InsertPlan {
    enum Step: Equatable {
        /// Insert these events.
        case insert(Range<Int>)
        /// Insert this event to learn whether the store takes any: it was tried alone before, or is part of what fails. Nothing follows
        /// for the event itself.
        case probe(Int)
        /// Every piece was tried and something is left: wait before the next step.
        case pause
    }

    /// Equal failures in a row after which a piece is halved, or an event that is alone is dead-lettered.
    static let equalFailures = 5

    private struct Piece {
        var range: Range<Int>
        var failure: StoreError?
        /// How often in a row, `failure` included.
        var failures = 0
        /// Successes of other inserts when the first and the last of these failures came.
        var successesAtFirst = 0
        var successesAtLast = 0
    }

    /// Tried in this order; a round ends at ``next(successes:)``'s pause.
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

    /// One for each event, in their order; complete once ``next(successes:)`` gives `nil`.
    var outcomes: [InsertOutcome] { settled.compactMap(\.self) }

    /// What to do now; `nil` when everything is settled. `successes`: inserts of this process that succeeded so far.
    mutating func next(successes: Int) -> Step? {
        guard !pieces.isEmpty else { return nil }
        if position < pieces.count { return .insert(pieces[position].range) }
        if let probe = probe(successes: successes) { return .probe(probe) }
        (position, hasProbed) = (0, false)
        return .pause
    }

    /// The step was ``Step/insert(_:)`` of the next piece, and this came of its events.
    mutating func succeeded(_ outcomes: [InsertOutcome]) {
        let piece = pieces.remove(at: position)
        for (index, outcome) in zip(piece.range, outcomes) { settled[index] = outcome }
    }

    /// The step was ``Step/insert(_:)`` of the next piece, and failed as a whole.
    mutating func failed(_ error: StoreError, successes: Int) {
        var piece = pieces[position]
        let isEqual = piece.failure.map { $0.code == error.code && $0.message.utf8.elementsEqual(error.message.utf8) } ?? false
        let othersSinceLast = isEqual && successes > piece.successesAtLast
        if !isEqual { (piece.failures, piece.successesAtFirst) = (0, successes) }
        piece.failure = error
        piece.failures += 1
        piece.successesAtLast = successes
        // An outage says nothing about what was to be stored, however often it comes.
        let isSuspect = error.code == .refused && piece.failures >= Self.equalFailures && successes > piece.successesAtFirst
        if isSuspect, piece.range.count > 1 {
            let middle = piece.range.lowerBound + piece.range.count / 2
            let halves = [piece.range.lowerBound..<middle, middle..<piece.range.upperBound]
            // They go on with the series of the whole, and are tried at once.
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

    /// With no other traffic nothing tells a bad event from a store that takes none. One event a round is then tried by itself, each in
    /// its turn, and is inserted again with its piece: that is idempotent.
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

/// Counts the inserts of a process that succeeded, across its flushes: what shows that the store takes events while some fail.
final class InsertSuccesses: Sendable {
    private let count = Mutex(0)

    var value: Int { count.withLock { $0 } }

    func add() { count.withLock { $0 += 1 } }
}
