/// A text as a key. Swift takes "é" for the same whether it is one scalar or two (canonical equivalence); the stores compare bytes, so
/// whatever groups or looks up what came from a store does as well.
struct ExactText: Hashable, Comparable, Sendable {
    var text: String

    init(_ text: String) {
        self.text = text
    }

    static func == (a: ExactText, b: ExactText) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }

    static func < (a: ExactText, b: ExactText) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
