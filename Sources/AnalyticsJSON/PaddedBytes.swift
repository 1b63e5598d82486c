internal import CSimdJSON

/// A text as bytes, followed by the padding that the JSON parser may read.
///
/// A part of the text is a `Range<Int>` of its bytes, which refers to no memory and can be kept.
public struct PaddedBytes: Sendable {
    @usableFromInline var storage: [UInt8]
    public internal(set) var count: Int

    @usableFromInline static let padding = [UInt8](repeating: 0, count: Int(CJSON_PADDING))

    public init(reservingCapacity capacity: Int = 0) {
        storage = []
        storage.reserveCapacity(capacity + Self.padding.count)
        storage += Self.padding
        count = 0
    }

    @inlinable public init(_ bytes: some Collection<UInt8>) {
        self.init(reservingCapacity: bytes.count)
        append(bytes)
    }

    public init(_ text: String) {
        self.init(text.utf8)
    }

    @inlinable public mutating func append(_ bytes: some Collection<UInt8>) {
        removePadding()
        storage += bytes
        addPadding()
    }

    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        removePadding()
        storage += bytes
        addPadding()
    }

    @usableFromInline mutating func removePadding() {
        storage.removeLast(storage.count - count)
    }

    @usableFromInline mutating func addPadding() {
        count = storage.count
        storage += Self.padding
    }

    /// The bytes without the padding.
    public var bytes: ArraySlice<UInt8> { storage[all] }

    /// The range of the whole text.
    public var all: Range<Int> { 0..<count }

    public subscript(range: Range<Int>) -> ArraySlice<UInt8> {
        precondition(range.upperBound <= count)
        return storage[range]
    }

    /// A part as a string; invalid UTF-8 is repaired.
    public func string(at range: Range<Int>) -> String {
        String(decoding: self[range], as: UTF8.self)
    }

    public func equals(_ text: StaticString, at range: Range<Int>) -> Bool {
        range.count == text.utf8CodeUnitCount && self[range].elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: range.count))
    }

    /// Passes the address of a part. As many bytes as the padding are readable after its end.
    func withPointer<R, E: Error>(at range: Range<Int>, _ body: (UnsafePointer<CChar>) throws(E) -> R) throws(E) -> R {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return try storage.withUnsafeBufferPointer { (buffer) throws(E) -> R in
            try buffer.withMemoryRebound(to: CChar.self) { (chars) throws(E) -> R in
                try body(chars.baseAddress! + range.lowerBound)
            }
        }
    }
}
