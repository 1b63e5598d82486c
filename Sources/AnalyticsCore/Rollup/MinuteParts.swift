/// A set of parts of a minute. A part is a quarter of a second.
public struct MinuteParts: Sendable, Hashable {
    /// One bit per part.
    private var words = SIMD4<UInt64>.zero

    /// Parts of a minute.
    public static let count = 240
    /// Milliseconds per part.
    public static let milliseconds: Int64 = 250
    public static let all = MinuteParts(0..<count)

    public init(_ parts: some Sequence<Int> = []) {
        for part in parts where (0..<Self.count).contains(part) { words[part / 64] |= 1 << UInt64(part % 64) }
    }

    public var isEmpty: Bool { words == .zero }

    public var count: Int { words.indices.reduce(0) { $0 + words[$1].nonzeroBitCount } }

    /// In ascending order.
    public var indexes: [Int] { (0..<Self.count).filter(contains) }

    public func contains(_ part: Int) -> Bool { words[part / 64] & 1 << UInt64(part % 64) != 0 }

    mutating func insert(_ part: Int) { words[part / 64] |= 1 << UInt64(part % 64) }

    /// Inserts the part of its minute in which a moment lies.
    mutating func insert(_ time: Timestamp) {
        insert(Int((time.milliseconds - Timestamp(minute: time.minute).milliseconds) / Self.milliseconds))
    }

    mutating func formUnion(_ other: MinuteParts) { words |= other.words }

    func isDisjoint(with other: MinuteParts) -> Bool { words & other.words == .zero }

    /// The times of the parts in a minute, in ascending order. Adjacent parts are one range.
    func ranges(of minute: Int64) -> [Range<Timestamp>] {
        let start = Timestamp(minute: minute).milliseconds
        return coalesce(indexes.map { Int64($0) }).scaled(by: Self.milliseconds).map { range in
            Timestamp(milliseconds: start + range.lowerBound)..<Timestamp(milliseconds: start + range.upperBound)
        }
    }

    /// Also has the parts in small gaps: they are read together.
    var withoutSmallGaps: MinuteParts {
        MinuteParts(coalesce(indexes.map { Int64($0) }, acrossGapsOf: 3).flatMap { Int($0.lowerBound)..<Int($0.upperBound) })
    }
}

/// Where in a minute events have changed, as its marks say (docs/decisions/live-minutes.md).
public struct MinuteStamp: Sendable, Equatable {
    public var version: Int64
    /// The number of marks that named the parts they changed. Marks of earlier versions of the service do not, nor does the first mark.
    public var told: Int64
    /// Per part, the number of these marks that changed it. A missing part was never changed.
    public var marks: [Int: Int64]

    /// Invalid parts are dropped.
    public init(version: Int64, told: Int64 = 0, marks: [Int: Int64] = [:]) {
        self.version = version
        self.told = told
        self.marks = marks.filter { (0..<MinuteParts.count).contains($0.key) }
    }

    /// The parts in which events may have changed since an earlier stamp; `nil` for anywhere.
    func changes(since earlier: MinuteStamp) -> MinuteParts? {
        let isTold = version >= earlier.version && told >= earlier.told && version &- told == earlier.version &- earlier.told
        guard isTold else { return nil }
        var parts = MinuteParts()
        for part in 0..<MinuteParts.count {
            let (before, now) = (earlier.marks[part] ?? 0, marks[part] ?? 0)
            guard now >= before else { return nil }
            if now > before { parts.insert(part) }
        }
        // Each mark counted in `told` has changed a part.
        return parts.isEmpty == (told == earlier.told) ? parts : nil
    }

    /// Records a mark, which raises the version.
    public mutating func mark(_ parts: MinuteParts?) {
        // Stored numbers may be damaged: arithmetic must not trap.
        version &+= 1
        guard let parts, !parts.isEmpty else { return }
        told &+= 1
        for part in parts.indexes { marks[part, default: 0] &+= 1 }
    }
}

// MARK: Stored bytes

extension MinuteStamp {
    /// The parts, each followed by its number of marks.
    public var encodedMarks: [UInt8] {
        var writer = TableWriter()
        for (part, count) in marks.sorted(by: { $0.key < $1.key }) {
            writer.number(Int64(part))
            writer.number(count)
        }
        return writer.bytes
    }

    /// Reads the bytes of ``encodedMarks``; `nil` if they cannot be read.
    public static func marks(encoded bytes: [UInt8]) -> [Int: Int64]? {
        try? bytes.withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
            var marks: [Int: Int64] = [:]
            var cursor = TableCursor(buffer)
            while !cursor.isAtEnd {
                let (part, count) = (try cursor.number(), try cursor.count())
                guard (0..<Int64(MinuteParts.count)).contains(part) else { throw .damaged }
                marks[Int(part)] = count
            }
            return marks
        }
    }
}
