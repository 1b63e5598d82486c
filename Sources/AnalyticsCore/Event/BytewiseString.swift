/// A text that is compared by bytes. Swift's `==` uses canonical equivalence ("é" as one scalar or two), but the stores compare bytes. Code
/// that groups or looks up text from a store must do the same.
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
