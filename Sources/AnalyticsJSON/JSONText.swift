/// Normalised JSON text: valid, without white space, keys in their order, numbers in their shortest form. ``JSONParser`` creates it.
public struct JSONText: Sendable, Equatable {
    public var text: String

    /// Trusts that `text` is normalised.
    public init(normalised text: String) {
        self.text = text
    }

    /// A JSON string.
    public init(string: String) {
        var writer = JSONWriter()
        writer.string(string)
        self.init(normalised: writer.text)
    }
}
