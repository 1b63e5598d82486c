package import AnalyticsJSON

/// Reads the values at paths of an event's `data` and `context`. For stores that keep these as text. Not thread-safe.
package struct PropertyReader {
    private let count: Int
    /// For each root: the indexes of its paths, and their reader. A root without paths has no entry.
    private let readers: [PropertyPath.Root: (places: [Int], reader: JSONValueReader)]

    package init(_ paths: [PropertyPath]) {
        count = paths.count
        readers = Dictionary(grouping: paths.indices) { paths[$0].root }
            .mapValues { places in (places, JSONValueReader(paths: places.map { paths[$0].keys })) }
    }

    /// Whether a path begins at this root.
    package func needs(_ root: PropertyPath.Root) -> Bool { readers[root] != nil }

    /// The scalars at each path, in the order of the text. `text` returns the JSON of a root, and is called only for roots that are
    /// needed. Throws when that text is not JSON.
    package func values(_ text: (PropertyPath.Root) throws -> PaddedBytes?) throws -> [[JSONScalar]] {
        var values = [[JSONScalar]](repeating: [], count: count)
        for (root, (places, reader)) in readers {
            guard let text = try text(root) else { continue }
            try reader.read(text) { path, value in values[places[path]].append(value) }
        }
        return values
    }
}
