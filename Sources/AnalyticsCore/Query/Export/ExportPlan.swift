/// Which part of a selection an export reads next: a page of a range, which is made shorter where the store does not read it in time. Pure.
struct ExportPlan {
    private let selection: Selection
    /// Behind which the rest lies, in the order of a listing.
    private(set) var position: EventPosition?
    private(set) var isAtEnd = false
    /// Milliseconds that a slice may cover; `nil` before one was too much.
    private var longest: Int64?
    /// No event is newer: ingest takes none that is further ahead (`MAX_FUTURE_SKEW`).
    private let newest: Timestamp

    /// What is tried first where all that there is was too much.
    private static let firstLength: Int64 = 32 * 86_400_000

    init(_ selection: Selection, after position: EventPosition?, now: Timestamp) {
        self.selection = selection
        self.position = position
        newest = now + .seconds(366 * 86_400)
    }

    /// To be listed behind ``position``.
    var slice: Selection {
        guard let longest, cut(longest) > start else { return selection }
        var slice = selection
        slice.from = cut(longest)
        return slice
    }

    private var start: Timestamp { max(selection.from ?? .earliest, .earliest) }

    /// The first moment behind what is left, as far as anything can be there.
    private var end: Timestamp {
        let end = position.map { $0.id.isEmpty ? $0.timestamp : $0.timestamp + .milliseconds(1) } ?? newest
        return min(end, selection.to ?? end, newest)
    }

    private func cut(_ length: Int64) -> Timestamp { end - .milliseconds(length) }

    /// The slice has given events up to `last`: as many as a page takes (`isFull`), or all that there are in it. It took this part of its time.
    mutating func gave(upTo last: EventPosition?, isFull: Bool, in part: Double) {
        let whole = longest.flatMap { cut($0) > start ? EventPosition(timestamp: cut($0), id: "") : nil }
        isAtEnd = whole == nil && !isFull
        position = (isFull ? last : whole ?? last) ?? position
        guard part < 0.25, let length = longest else { return }
        longest = length.multipliedReportingOverflow(by: 2).overflow ? nil : length * 2
    }

    /// The slice was not read in its time. False when it cannot be made any shorter.
    mutating func tookTooLong() -> Bool {
        let length = min(longest ?? .max, (end - start).milliseconds)
        guard length > 1 else { return false }
        longest = max(1, longest == nil ? min(length / 8, Self.firstLength) : length / 8)
        return true
    }
}
