internal import AnalyticsCore
internal import NIOCore

/// The seconds of one project that are told, who is told them, and which is to be told next. A state machine without I/O.
struct LiveChannel {
    /// One second as all readers get it.
    struct Entry {
        var bytes: ByteBuffer
        var events: Int64
    }

    private struct Reader {
        /// The second that it gets next.
        var next: Int64
        var sink: AsyncStream<ByteBuffer>.Continuation
    }

    /// Seconds that a reader who comes back can still get.
    static let kept: Int64 = 60
    /// A second is told so long after its end: what happens in it is stored by then, mostly.
    static let delay: Int64 = 1
    /// Seconds that may be held for a reader: all that it can have come back for, or that the store's return brings at once, and some more.
    /// They share their bytes with what is kept.
    static let held = Int(kept) + 8
    /// Seconds of which the rate is the mean.
    private static let ratedSeconds: Int64 = 10

    /// Of consecutive seconds.
    private var entries: [Entry] = []
    private var first: Int64 = 0
    private var readers: [Int: Reader] = [:]

    private var end: Int64 { first + Int64(entries.count) }

    var isIdle: Bool { readers.isEmpty }

    /// Whether nobody could come back for anything that is kept.
    func isOld(at now: Timestamp) -> Bool { readers.isEmpty && end <= Self.oldest(at: now) }

    private static func newest(at now: Timestamp) -> Int64 { now.index(of: 1_000) - 1 - delay }

    private static func oldest(at now: Timestamp) -> Int64 { newest(at: now) - kept + 1 }

    // MARK: Readers

    /// A second that no clock of ours can have told is none.
    private static func known(_ last: Int64?, at now: Timestamp) -> Int64? {
        last.flatMap { $0 <= newest(at: now) + kept ? $0 : nil }
    }

    /// - Parameter last: The second that it has got last; `nil` for one that is new, which begins with the newest.
    mutating func join(_ number: Int, _ sink: AsyncStream<ByteBuffer>.Continuation, after last: Int64?, at now: Timestamp) {
        let newest = Self.newest(at: now)
        let next =
            Self.known(last, at: now).map { max($0 + 1, Self.oldest(at: now)) } ?? (end > newest - 1 && !entries.isEmpty ? end - 1 : newest)
        readers[number] = Reader(next: next, sink: sink)
        _ = serve(at: now)
    }

    /// Ends its stream. False when it is not there.
    mutating func leave(_ number: Int) -> Bool {
        guard let reader = readers.removeValue(forKey: number) else { return false }
        reader.sink.finish()
        return true
    }

    // MARK: Seconds

    /// The second to tell now; `nil` while there is none.
    mutating func due(at now: Timestamp) -> Int64? {
        let (newest, oldest) = (Self.newest(at: now), Self.oldest(at: now))
        guard let wanted = readers.values.map(\.next).min() else { return nil }
        // The clock was set back.
        if !entries.isEmpty, end > newest + Self.kept {
            entries.removeAll()
            for number in readers.keys { readers[number]?.next = newest }
            return newest
        }
        // The store was away for longer than anybody is told of afterwards, or nobody has listened for so long.
        if end < oldest { entries.removeAll() }
        guard !entries.isEmpty else { return wanted <= newest ? max(wanted, oldest) : nil }
        if end <= newest { return end }
        return wanted < first && first > oldest ? first - 1 : nil
    }

    /// Events per second, the mean of this second and those before it that are kept.
    func rate(of second: Int64, _ events: Int64) -> Double {
        let earlier = (second - Self.ratedSeconds + 1..<second).filter { (first..<end).contains($0) }.map {
            entries[Int($0 - first)].events
        }
        return Double(earlier.reduce(events, +)) / Double(earlier.count + 1)
    }

    /// Adds what was due. Returns the readers that had no room for it: they have left.
    mutating func add(_ second: Int64, _ entry: Entry, at now: Timestamp) -> [Int] {
        if entries.isEmpty {
            (first, entries) = (second, [entry])
        } else if second == end {
            entries.append(entry)
        } else if second == first - 1 {
            entries.insert(entry, at: 0)
            first = second
        }
        while entries.count > Self.kept {
            entries.removeFirst()
            first += 1
        }
        return serve(at: now)
    }

    private mutating func serve(at now: Timestamp) -> [Int] {
        var left: [Int] = []
        let oldest = Self.oldest(at: now)
        for number in readers.keys {
            guard var reader = readers[number] else { continue }
            // What lies before can no longer be had.
            if reader.next < first, first <= oldest { reader.next = first }
            var isHeld = true
            while isHeld, (first..<end).contains(reader.next) {
                if case .enqueued = reader.sink.yield(entries[Int(reader.next - first)].bytes) { reader.next += 1 } else { isHeld = false }
            }
            readers[number] = reader
            if !isHeld, leave(number) { left.append(number) }
        }
        return left
    }

    /// Sends bytes to all that stand for no second. Returns the readers that had no room for them: they have left.
    mutating func send(_ bytes: ByteBuffer) -> [Int] {
        readers.filter { number, reader in
            if case .enqueued = reader.sink.yield(bytes) { false } else { true }
        }.keys.filter { leave($0) }
    }
}
