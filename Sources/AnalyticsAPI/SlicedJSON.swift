internal import AnalyticsJSON
internal import NIOCore

/// Members of a JSON object or elements of an array, written one by one.
struct JSONPart: Sendable {
    fileprivate var count: Int
    fileprivate var write: @Sendable (Int, inout JSONWriter) -> Void

    static func once(_ write: @escaping @Sendable (inout JSONWriter) -> Void) -> JSONPart {
        JSONPart(count: 1) { _, writer in write(&writer) }
    }

    static func each<Element: Sendable>(
        _ elements: [Element], _ write: @escaping @Sendable (Element, inout JSONWriter) -> Void
    ) -> JSONPart {
        JSONPart(count: elements.count) { index, writer in write(elements[index], &writer) }
    }

    /// A member that is an array.
    static func list<Element: Sendable>(
        _ key: StaticString, of elements: [Element], _ write: @escaping @Sendable (Element, inout JSONWriter) -> Void
    ) -> [JSONPart] {
        let begin = JSONPart.once { writer in
            writer.key(key)
            writer.beginArray()
        }
        return [begin, .each(elements, write), .once { $0.endArray() }]
    }
}

/// The text of a JSON object or array, made slice by slice, so that only the slices in flight of a response are held as text.
struct SlicedJSON: Sendable {
    enum Root: Sendable {
        case object, array
    }

    /// Bytes per slice; the last element may exceed it.
    static let sliceBytes = 64 * 1024

    private let parts: [JSONPart]
    private let root: Root
    private var part = 0
    private var element = 0
    private var writer: JSONWriter
    private(set) var isAtEnd = false

    init(_ parts: [JSONPart], root: Root = .object, reservingCapacity capacity: Int = 256) {
        self.parts = parts
        self.root = root
        writer = JSONWriter(reservingCapacity: min(capacity, Self.sliceBytes))
        switch root {
        case .object: writer.beginObject()
        case .array: writer.beginArray()
        }
    }

    mutating func next() -> ByteBuffer? {
        guard !isAtEnd else { return nil }
        while part < parts.count {
            while element < parts[part].count {
                guard writer.count < Self.sliceBytes else { return cut() }
                parts[part].write(element, &writer)
                element += 1
            }
            (part, element) = (part + 1, 0)
        }
        switch root {
        case .object: writer.endObject()
        case .array: writer.endArray()
        }
        isAtEnd = true
        return cut()
    }

    private mutating func cut() -> ByteBuffer {
        defer { writer.removeAll() }
        return ByteBuffer(bytes: writer.bytes)
    }

    /// Bytes from the current position to the end. Encodes all of it once.
    var remainingBytes: Int {
        var (rest, count) = (self, 0)
        while let slice = rest.next() { count += slice.readableBytes }
        return count
    }
}
