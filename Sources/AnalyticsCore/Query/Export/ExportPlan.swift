/// Chooses the part of a selection that an export reads next: a page of a range, which gets shorter if the store does not read it in
/// time. Pure.
struct ExportPlan {
    private let selection: Selection
    /// The rest comes after this position, in the order of a listing.
    private(set) var position: EventPosition?
    private(set) var isAtEnd = false
    /// Maximum milliseconds that a slice covers; `nil` until one took too long.
    private var longest: Int64?
    /// No event is newer: ingest refuses events further ahead (`MAX_FUTURE_SKEW`).
    private let newest: Timestamp

    /// The first length tried when the whole range took too long.
    private static let firstLength: Int64 = 32 * 86_400_000

    init(_ selection: Selection, after position: EventPosition?, now: Timestamp) {
        self.selection = selection
        self.position = position
        newest = now + .seconds(366 * 86_400)
    }

    /// The selection to list after ``position``.
    var slice: Selection {
        guard let longest, cut(longest) > start else { return selection }
        var slice = selection
        slice.from = cut(longest)
        return slice
    }

    private var start: Timestamp { max(selection.from ?? .earliest, .earliest) }

    /// The end of the range that can still hold events.
    private var end: Timestamp {
        let end = position.map { $0.id.isEmpty ? $0.timestamp : $0.timestamp + .milliseconds(1) } ?? newest
        return min(end, selection.to ?? end, newest)
    }

    private func cut(_ length: Int64) -> Timestamp { end - .milliseconds(length) }

    /// The slice returned events up to `last`: a full page (`isFull`), or all of its events. It took this part of its time limit.
    mutating func gave(upTo last: EventPosition?, isFull: Bool, in part: Double) {
        let whole = longest.flatMap { cut($0) > start ? EventPosition(timestamp: cut($0), id: "") : nil }
        isAtEnd = whole == nil && !isFull
        position = (isFull ? last : whole ?? last) ?? position
        guard part < 0.25, let length = longest else { return }
        longest = length.multipliedReportingOverflow(by: 2).overflow ? nil : length * 2
    }

    /// The slice was not read in time. False if it cannot be made shorter.
    mutating func tookTooLong() -> Bool {
        let length = min(longest ?? .max, (end - start).milliseconds)
        guard length > 1 else { return false }
        longest = max(1, longest == nil ? min(length / 8, Self.firstLength) : length / 8)
        return true
    }
}
