/// Reads the dead letters and takes none away.
public protocol DeadLetterReader: Sendable {
    /// The oldest dead letters behind `position`, or the oldest of all.
    ///
    /// Afterwards the letters, their number and their order are as before. Those that are published meanwhile may be in the page or not.
    /// Readings do not overlap: one waits for another, in any process, and throws ``BrokerError/Code/owned`` after the adapter's timeout.
    func deadLetters(after position: DeadLetterPosition?, limit: DeadLetterLimit) async throws(BrokerError) -> DeadLetterPage
}

/// Where a page ended. Its text is the adapter's own, and valid for the same queue only.
public struct DeadLetterPosition: Sendable, Equatable {
    public var text: String

    public init(text: String) {
        self.text = text
    }
}

/// How much one page may hold.
public struct DeadLetterLimit: Sendable, Equatable {
    public static let maximumLetters = 500
    public static let maximumBytes = 64 << 20

    public let letters: Int
    /// Of all bodies together.
    public let bytes: Int

    /// Both are brought to 1 or to their maximum where they lie outside.
    public init(letters: Int = 100, bytes: Int = 8 << 20) {
        self.letters = min(max(1, letters), Self.maximumLetters)
        self.bytes = min(max(1, bytes), Self.maximumBytes)
    }
}

public struct DeadLetterPage: Sendable, Equatable {
    public var letters: [QueuedDeadLetter] = []
    /// Whether there were more behind these.
    public var hasMore = false
    /// Where the next page begins; `nil` at the end, and always where the broker knows no positions.
    public var next: DeadLetterPosition?
}

/// What was published to the dead letters, and what could be read of it.
public struct QueuedDeadLetter: Sendable, Equatable {
    /// Empty when `size` is more than a whole page may hold.
    public var body: [UInt8]
    public var size: Int
    public var content: Result<DeadLetter, DeadLetterError>
}

/// Fills a page in the order of the queue. Does no I/O.
public struct DeadLetterPageBuilder: Sendable {
    public enum Room: Sendable {
        case body
        /// The letter is larger than a whole page: its size is listed, and its body left where it is.
        case sizeOnly
        /// The page ends before this letter.
        case none
    }

    private let limit: DeadLetterLimit
    private var letters: [(body: [UInt8], size: Int)] = []
    private var bytes = 0

    public init(_ limit: DeadLetterLimit) {
        self.limit = limit
    }

    public var count: Int { letters.count }

    public func room(for size: Int) -> Room {
        guard letters.count < limit.letters else { return .none }
        guard size <= limit.bytes else { return .sizeOnly }
        return bytes + size <= limit.bytes ? .body : .none
    }

    public mutating func append(_ body: [UInt8]) {
        letters.append((body, body.count))
        bytes += body.count
    }

    public mutating func append(sizeOnly size: Int) {
        letters.append(([], size))
    }

    /// Decodes what it has.
    public func page(hasMore: Bool, next: DeadLetterPosition? = nil) -> DeadLetterPage {
        let decoder = DeadLetterDecoder()
        let letters = letters.map { body, size in
            guard size == body.count else {
                return QueuedDeadLetter(
                    body: body, size: size,
                    content: .failure(DeadLetterError("\(size) bytes are more than the \(limit.bytes) that are read at a time")))
            }
            return QueuedDeadLetter(
                body: body, size: size, content: Result { () throws(DeadLetterError) in try decoder.decode(body) })
        }
        return DeadLetterPage(letters: letters, hasMore: hasMore, next: hasMore ? next : nil)
    }
}
