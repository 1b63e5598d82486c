/// A series' labels in canonical form: names valid, sorted and unique; values bounded in length, none empty.
struct LabelSet: Hashable, Sendable {
    struct Label: Hashable, Sendable {
        var name: String
        var value: String
    }

    let labels: [Label]

    /// The value of all labels of the series for everything beyond a metric's label limit.
    static let overflowValue = "__other__"

    static let none = LabelSet(labels: [])

    private init(labels: [Label]) {
        self.labels = labels
    }

    /// If two names become equal, the later value wins. A label with an empty value is omitted: for Prometheus both are the same series.
    /// `le` is renamed on a histogram, whose buckets use that name.
    init(_ dimensions: [(String, String)], maximumValueBytes: Int, reservesBucketLabel: Bool) {
        var byName: [String: String] = [:]
        for (name, value) in dimensions {
            var name = MetricName.label(name)
            if reservesBucketLabel, name == "le" { name = "exported_le" }
            byName[name] = Self.truncated(value, to: maximumValueBytes)
        }
        labels = byName.filter { !$0.value.isEmpty }.map(Label.init).sorted { $0.name < $1.name }
    }

    /// The same label names, with every value replaced by ``overflowValue``.
    var overflow: LabelSet {
        LabelSet(labels: labels.map { Label(name: $0.name, value: Self.overflowValue) })
    }

    /// `method="GET",route="/"`, escaped; empty for no labels.
    var fragment: [UInt8] {
        var writer = TextWriter()
        for (index, label) in labels.enumerated() {
            if index > 0 { writer.append(",") }
            writer.append(label.name)
            writer.append("=\"")
            writer.append(escapingLabelValue: label.value)
            writer.append("\"")
        }
        return writer.bytes
    }

    /// Cuts between two characters, so that the output stays valid UTF-8.
    private static func truncated(_ value: String, to maximumBytes: Int) -> String {
        guard value.utf8.count > maximumBytes else { return value }
        var end = value.utf8.index(value.utf8.startIndex, offsetBy: maximumBytes)
        while end.samePosition(in: value.unicodeScalars) == nil { end = value.utf8.index(before: end) }
        return String(value[..<end])
    }
}

extension LabelSet: Comparable {
    static func < (left: LabelSet, right: LabelSet) -> Bool {
        for (one, other) in zip(left.labels, right.labels) where one != other {
            return one.name == other.name ? one.value < other.value : one.name < other.name
        }
        return left.labels.count < right.labels.count
    }
}

/// Dimensions exactly as the caller gave them: the key of the fast look-up, before names are sanitised and sorted.
struct RawDimensions: Hashable, Sendable {
    let pairs: [(String, String)]

    static func == (left: RawDimensions, right: RawDimensions) -> Bool {
        left.pairs.count == right.pairs.count && zip(left.pairs, right.pairs).allSatisfy { $0 == $1 }
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(pairs.count)
        for (name, value) in pairs {
            hasher.combine(name)
            hasher.combine(value)
        }
    }

    /// Whether this key takes no more memory than the canonical labels.
    func fits(maximumValueBytes: Int) -> Bool {
        pairs.allSatisfy { $0.1.utf8.count <= maximumValueBytes }
    }
}
