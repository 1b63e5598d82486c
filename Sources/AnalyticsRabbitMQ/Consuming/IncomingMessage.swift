/// A delivery whose content has not come completely.
struct IncomingMessage {
    let tag: UInt64
    private(set) var header: ContentHeader?
    private(set) var body: [UInt8] = []
    /// Whether ``body`` is filled, or its bytes are dropped as they come.
    private(set) var keepsBody = true
    private var received = 0

    init(tag: UInt64) {
        self.tag = tag
    }

    var isComplete: Bool { header.map { received >= $0.bodySize } ?? false }

    mutating func begin(_ header: ContentHeader, keepsBody: Bool) {
        self.header = header
        self.keepsBody = keepsBody
        // No large reservation on the word of a header.
        if keepsBody { body.reserveCapacity(min(header.bodySize, 128 << 10)) }
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        received += bytes.count
        if keepsBody { body.append(contentsOf: bytes) }
    }
}
