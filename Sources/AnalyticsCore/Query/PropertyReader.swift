package import AnalyticsJSON

/// Reads what stands at paths of an event's `data` and `context`. For stores that keep them as text. One thread at a time.
package struct PropertyReader {
    private let count: Int
    /// The paths below each root, by their places among all, and what reads them; a root without any is not there.
    private let readers: [PropertyPath.Root: (places: [Int], reader: JSONValueReader)]

    package init(_ paths: [PropertyPath]) {
        count = paths.count
        readers = Dictionary(grouping: paths.indices) { paths[$0].root }
            .mapValues { places in (places, JSONValueReader(paths: places.map { paths[$0].keys })) }
    }

    /// Whether a path begins there.
    package func needs(_ root: PropertyPath.Root) -> Bool { readers[root] != nil }

    /// The scalars at each path, in the order of the text. `text` gives what stands at a root, and is asked for what is needed. Throws when
    /// that is not JSON.
    package func values(_ text: (PropertyPath.Root) throws -> PaddedBytes?) throws -> [[JSONScalar]] {
        var values = [[JSONScalar]](repeating: [], count: count)
        for (root, (places, reader)) in readers {
            guard let text = try text(root) else { continue }
            try reader.read(text) { path, value in values[places[path]].append(value) }
        }
        return values
    }
}
