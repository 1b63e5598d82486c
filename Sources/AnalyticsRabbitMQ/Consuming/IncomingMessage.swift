/// A delivery whose content is not complete yet.
struct IncomingMessage {
    let tag: UInt64
    private(set) var header: ContentHeader?
    private(set) var body: [UInt8] = []
    /// Whether ``body`` is filled; otherwise its bytes are dropped as they arrive.
    private(set) var keepsBody = true
    private var received = 0

    init(tag: UInt64) {
        self.tag = tag
    }

    var isComplete: Bool { header.map { received >= $0.bodySize } ?? false }

    mutating func begin(_ header: ContentHeader, keepsBody: Bool) {
        self.header = header
        self.keepsBody = keepsBody
        // No large reservation based on the header alone.
        if keepsBody { body.reserveCapacity(min(header.bodySize, 128 << 10)) }
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        received += bytes.count
        if keepsBody { body.append(contentsOf: bytes) }
    }
}
