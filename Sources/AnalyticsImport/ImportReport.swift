/// Counts of events by outcome.
public struct ImportTally: Sendable, Equatable {
    public var accepted = 0
    public var duplicates = 0
    public var rejected = 0

    public init(accepted: Int = 0, duplicates: Int = 0, rejected: Int = 0) {
        self.accepted = accepted
        self.duplicates = duplicates
        self.rejected = rejected
    }

    static func += (a: inout ImportTally, b: ImportTally) {
        a.accepted += b.accepted
        a.duplicates += b.duplicates
        a.rejected += b.rejected
    }
}

/// The output of an import's progress.
public struct ImportConsole: Sendable {
    /// Size of the input in bytes, if known.
    public var totalBytes: Int?
    /// Writes a permanent line.
    public var line: @Sendable (String) -> Void
    /// Shows the progress; called after each batch.
    public var progress: @Sendable (String) -> Void

    public init(totalBytes: Int? = nil, line: @escaping @Sendable (String) -> Void, progress: @escaping @Sendable (String) -> Void) {
        self.totalBytes = totalBytes
        self.line = line
        self.progress = progress
    }
}

/// The results of a run so far.
struct ImportReport {
    private let console: ImportConsole
    private let start = ContinuousClock.now
    private let first: Position
    private var tally = ImportTally()
    private var told = 0

    init(console: ImportConsole, from first: Position) {
        self.console = console
        self.first = first
    }

    mutating func add(_ outcome: BatchSender.Outcome, lines: [Int], at settled: Position) {
        tally += outcome.tally
        for refusal in outcome.refusals where lines.indices.contains(refusal.index) {
            told += 1
            guard told <= FileImport.refusalsTold else { break }
            console.line("line \(lines[refusal.index]): \(refusal.code): \(refusal.message)")
        }
        console.progress(progress(at: settled))
    }

    mutating func finish(unclosedLine: Int?) -> ImportTally {
        if let unclosedLine {
            console.line("line \(unclosedLine): a quoted field is not closed at the end of the file; the row is not sent")
            tally.rejected += 1
        }
        return tally
    }

    private func progress(at settled: Position) -> String {
        let seconds = max(0.001, (ContinuousClock.now - start) / .seconds(1))
        let events = settled.events - first.events
        let text = "\(events) events, \(Int(Double(events) / seconds)) events/s"
        guard let total = console.totalBytes, settled.offset > first.offset, total > first.offset else { return text }
        let share = min(1, Double(settled.offset - first.offset) / Double(total - first.offset))
        let left = Int((seconds / share - seconds).rounded(.up))
        return text + ", \(Int(share * 100)) %, \(left / 60):\(left % 60 < 10 ? "0" : "")\(left % 60) left"
    }
}
