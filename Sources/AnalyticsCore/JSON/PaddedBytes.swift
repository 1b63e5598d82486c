internal import CJSON

/// Bytes with the spare room behind their end that the JSON parser reads into.
public struct PaddedBytes: Sendable {
    private var storage: [UInt8]
    public private(set) var count: Int

    private static let padding = [UInt8](repeating: 0, count: Int(CJSON_PADDING))

    public init(reservingCapacity capacity: Int = 0) {
        storage = []
        storage.reserveCapacity(capacity + Self.padding.count)
        storage += Self.padding
        count = 0
    }

    public init(_ bytes: some Collection<UInt8>) {
        storage = []
        storage.reserveCapacity(bytes.count + Self.padding.count)
        storage += bytes
        count = storage.count
        storage += Self.padding
    }

    public init(_ text: String) {
        self.init(text.utf8)
    }

    public mutating func append(_ bytes: some Collection<UInt8>) {
        storage.removeLast(storage.count - count)
        storage += bytes
        count = storage.count
        storage += Self.padding
    }

    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        append(UnsafeBufferPointer(start: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), count: bytes.count))
    }

    /// The bytes without the padding.
    public var bytes: ArraySlice<UInt8> { storage[0..<count] }

    /// Gives the bytes, of which the padding behind the end is readable too.
    func withUnsafeBytes<R, E: Error>(_ body: (JSONSlice) throws(E) -> R) throws(E) -> R {
        let count = self.count
        return try storage.withUnsafeBufferPointer { (buffer) throws(E) -> R in
            try buffer.withMemoryRebound(to: CChar.self) { (chars) throws(E) -> R in
                try body(JSONSlice(start: chars.baseAddress!, count: count))
            }
        }
    }
}

/// Part of a ``PaddedBytes``: valid inside its closure only.
struct JSONSlice {
    var start: UnsafePointer<CChar>
    var count: Int

    init(start: UnsafePointer<CChar>, count: Int) {
        self.start = start
        self.count = count
    }

    init(_ view: cjson_view) {
        start = view.bytes
        count = view.length
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    /// Repairs what is no UTF-8, of which a parsed value has nothing.
    var string: String { String(decoding: bytes, as: UTF8.self) }

    @inline(__always)
    func equals(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where UInt8(bitPattern: start[index]) != text.utf8Start[index] { return false }
        return true
    }
}
