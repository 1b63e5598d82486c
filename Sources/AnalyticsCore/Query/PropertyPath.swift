internal import AnalyticsJSON

/// A property in a question: keys from the top level of an event's `data` or `context`, as in `data.cart.currency`.
///
/// An array on the path or at its end stands for its elements (one level of arrays per key, no indexes).
public struct PropertyPath: Sendable {
    public enum Root: String, Sendable, CaseIterable {
        case data, context
    }

    public var root: Root
    /// Never empty; no key is empty or starts with `$`.
    public var keys: [String]

    /// Parses a path with its root.
    public init(_ text: String) throws(PropertyPathError) {
        guard let (name, rest) = text.cutUTF8(atFirst: "."), let root = Root.allCases.first(where: { name.equalsUTF8($0.rawValue) }) else {
            throw PropertyPathError("must begin with 'data.' or 'context.'.")
        }
        try self.init(root, rest)
    }

    /// Parses the keys after a root, joined by dots.
    public init(_ root: Root, _ keys: some StringProtocol) throws(PropertyPathError) {
        self.root = root
        self.keys = keys.splitUTF8(".", omittingEmptySubsequences: false).map(String.init)
        // A store would read a key that begins with '$' as an operator, and would cut a key at a NUL.
        guard self.keys.allSatisfy({ !$0.isEmpty && $0.utf8.first != UInt8(ascii: "$") && !$0.utf8.contains(0) }) else {
            throw PropertyPathError("must name keys joined by dots, none empty, none beginning with '$'.")
        }
        guard !DataCondition(path: self.keys, values: []).isTooLong else {
            throw PropertyPathError(
                "names too many keys: at most \(DataCondition.maximumKeys), and at most \(DataCondition.maximumKeysWithNumber) with a number "
                    + "among them. Ask with fewer.")
        }
    }

    private init(trusted root: Root, _ keys: [String]) {
        (self.root, self.keys) = (root, keys)
    }

    /// True for events of known bots.
    static let bot = PropertyPath(trusted: .context, ["bot"])

    /// The path as written. Different paths have different texts.
    public var text: String { ([root.rawValue] + keys).joined(separator: ".") }
}

extension PropertyPath {
    /// A JSON array of paths, as SQLite stores it.
    package static func json(_ paths: [PropertyPath]) -> String {
        var writer = JSONWriter()
        writer.beginArray()
        for path in paths { writer.string(path.text) }
        writer.endArray()
        return writer.text
    }

    /// `nil` unless it is an array of paths.
    package static func list(json: String) -> [PropertyPath]? {
        let text = PaddedBytes(json)
        guard var elements = JSONElements(text, at: text.all) else { return nil }
        var paths: [PropertyPath] = []
        var parser = JSONParser()
        do {
            while let element = try elements.next() {
                let path: String? = try parser.withValue(of: text, at: element, maximumDepth: 1) { (value) throws(JSONFault) in
                    value.string
                } fault: {
                    $0
                }
                guard let path else { return nil }
                paths.append(try PropertyPath(path))
            }
        } catch {
            return nil
        }
        return paths
    }
}

extension PropertyPath: Hashable {
    public static func == (a: PropertyPath, b: PropertyPath) -> Bool { a.text.equalsUTF8(b.text) }

    public func hash(into hasher: inout Hasher) { hasher.combine(BytewiseString(text)) }
}

/// What is wrong with a path. The message continues a sentence that begins with the path's name.
public struct PropertyPathError: Error, Equatable {
    public var message: String

    init(_ message: String) {
        self.message = message
    }
}
