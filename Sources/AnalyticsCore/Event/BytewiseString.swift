/// A text as a key. Swift takes "é" for the same whether it is one scalar or two (canonical equivalence); the stores compare bytes, so
/// what groups or looks up text from a store does so as well.
public struct BytewiseString: Hashable, Comparable, Sendable {
    public var text: String

    public init(_ text: String) {
        self.text = text
    }

    public static func == (a: BytewiseString, b: BytewiseString) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }

    public static func < (a: BytewiseString, b: BytewiseString) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }

    public func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
