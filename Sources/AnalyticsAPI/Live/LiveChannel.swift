internal import AnalyticsCore
internal import NIOCore

/// The live seconds of one project: which are kept, who reads them, and which is due next. A state machine without I/O.
struct LiveChannel {
    /// One second, as it is sent to all readers.
    struct Entry {
        var bytes: ByteBuffer
        var events: Int64
    }

    private struct Reader {
        /// The next second to send.
        var next: Int64
        var sink: AsyncStream<ByteBuffer>.Continuation
    }

    /// Seconds that are kept for readers that reconnect.
    static let kept: Int64 = 60
    /// Seconds between the end of a second and its sending: most of its events are stored by then.
    static let delay: Int64 = 1
    /// Seconds buffered per reader: all kept ones, which a reconnect or the store's return can send at once, and some more. The bytes are
    /// shared with the kept ones.
    static let held = Int(kept) + 8
    /// Seconds that the rate is averaged over.
    private static let ratedSeconds: Int64 = 10

    /// Consecutive seconds.
    private var entries: [Entry] = []
    private var first: Int64 = 0
    private var readers: [Int: Reader] = [:]

    private var end: Int64 { first + Int64(entries.count) }

    var isIdle: Bool { readers.isEmpty }

    /// Whether the channel has no readers and no second that a reconnect could get.
    func isOld(at now: Timestamp) -> Bool { readers.isEmpty && end <= Self.oldest(at: now) }

    private static func newest(at now: Timestamp) -> Int64 { now.index(of: 1_000) - 1 - delay }

    private static func oldest(at now: Timestamp) -> Int64 { newest(at: now) - kept + 1 }

    // MARK: Readers

    /// `nil` for a second that is too far in the future to have been sent.
    private static func known(_ last: Int64?, at now: Timestamp) -> Int64? {
        last.flatMap { $0 <= newest(at: now) + kept ? $0 : nil }
    }

    /// - Parameter last: The last second that the reader has; `nil` for a new reader, which begins with the newest.
    mutating func join(_ number: Int, _ sink: AsyncStream<ByteBuffer>.Continuation, after last: Int64?, at now: Timestamp) {
        let newest = Self.newest(at: now)
        let next =
            Self.known(last, at: now).map { max($0 + 1, Self.oldest(at: now)) } ?? (end > newest - 1 && !entries.isEmpty ? end - 1 : newest)
        readers[number] = Reader(next: next, sink: sink)
        _ = serve(at: now)
    }

    /// Ends the reader's stream. Returns false if there is no such reader.
    mutating func leave(_ number: Int) -> Bool {
        guard let reader = readers.removeValue(forKey: number) else { return false }
        reader.sink.finish()
        return true
    }

    // MARK: Seconds

    /// The next second to send; `nil` if none is due.
    mutating func due(at now: Timestamp) -> Int64? {
        let (newest, oldest) = (Self.newest(at: now), Self.oldest(at: now))
        guard let wanted = readers.values.map(\.next).min() else { return nil }
        // The clock was set back.
        if !entries.isEmpty, end > newest + Self.kept {
            entries.removeAll()
            for number in readers.keys { readers[number]?.next = newest }
            return newest
        }
        // The store was unavailable, or there were no readers, for longer than seconds are kept.
        if end < oldest { entries.removeAll() }
        guard !entries.isEmpty else { return wanted <= newest ? max(wanted, oldest) : nil }
        if end <= newest { return end }
        return wanted < first && first > oldest ? first - 1 : nil
    }

    /// Events per second: the mean over this second and the kept seconds before it.
    func rate(of second: Int64, _ events: Int64) -> Double {
        let earlier = (second - Self.ratedSeconds + 1..<second).filter { (first..<end).contains($0) }.map {
            entries[Int($0 - first)].events
        }
        return Double(earlier.reduce(events, +)) / Double(earlier.count + 1)
    }

    /// Adds the second that was due. Returns the readers that had no room for it and were removed.
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
            // Earlier seconds are no longer available.
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

    /// Sends bytes that are not a second to all readers. Returns the readers that had no room for them and were removed.
    mutating func send(_ bytes: ByteBuffer) -> [Int] {
        readers.filter { number, reader in
            if case .enqueued = reader.sink.yield(bytes) { false } else { true }
        }.keys.filter { leave($0) }
    }
}
