/// The selected groups of tables. Names that are not selected never become strings.
struct SelectedGroups {
    private(set) var types: TableTexts
    private(set) var sources: TableTexts
    private let includesBots: Bool

    init(_ selection: Selection) {
        includesBots = selection.includesBots
        types = TableTexts(TextFilter(selection.types))
        sources = TableTexts(TextFilter(selection.sources))
    }

    /// Calls `dictionaries` with the sizes of ``types`` and ``sources``, then `row` with each selected row and its selected counts.
    /// Do not use them before this returns: a fault may show only at the table's end.
    @inline(__always)
    mutating func read(
        _ table: GroupTable, dictionaries: (_ types: Int, _ sources: Int) -> Void = { _, _ in }, row: (GroupTable.Row) -> Void
    ) throws(GroupTable.Unreadable) {
        let includesBots = includesBots
        if let groups = try table.earlierGroups() {
            types.learn(groups.map(\.type))
            sources.learn(groups.map(\.source))
            dictionaries(groups.count, groups.count)
            for (index, group) in groups.enumerated() where types.isWanted[index] && sources.isWanted[index] {
                row(GroupTable.Row(type: index, source: index, quarters: SIMD4(group)))
            }
            return
        }
        var (wantedTypes, wantedSources): ([Bool], [Bool]) = ([], [])
        try table.read { (typeTexts, sourceTexts) throws(GroupTable.Unreadable) in
            try types.learn(typeTexts)
            try sources.learn(sourceTexts)
            (wantedTypes, wantedSources) = (types.isWanted, sources.isWanted)
            dictionaries(wantedTypes.count, wantedSources.count)
        } row: { found in
            guard wantedTypes[found.type] && wantedSources[found.source] else { return }
            var found = found
            if !includesBots { found.quarters &-= found.bots }
            row(found)
        }
    }
}

/// The strings of the last table's dictionary, and which of them are selected. The next table usually has the same strings.
struct TableTexts {
    private let filter: TextFilter
    private var bytes: [UInt8] = []
    private var ranges: [Range<Int>] = []
    private(set) var isWanted: [Bool] = []
    /// Changes when the strings change.
    private(set) var version = 0

    fileprivate init(_ filter: TextFilter) {
        self.filter = filter
    }

    func text(_ index: Int) throws(GroupTable.Unreadable) -> String {
        guard let text = String(validating: bytes[ranges[index]], as: UTF8.self) else { throw .damaged }
        return text
    }

    fileprivate mutating func learn(_ texts: GroupTable.Strings) throws(GroupTable.Unreadable) {
        let isSame = version > 0 && bytes.count == texts.bytes.count && bytes.elementsEqual(texts.bytes)
        guard !isSame || ranges.count != texts.count else { return }
        version += 1
        (bytes, ranges, isWanted) = ([], [], [])
        ranges.reserveCapacity(texts.count)
        isWanted.reserveCapacity(texts.count)
        try texts.each { (text) throws(GroupTable.Unreadable) in
            let start = text.baseAddress.flatMap { base in texts.bytes.baseAddress.map { base - $0 } } ?? 0
            ranges.append(start..<start + text.count)
            isWanted.append(filter.holds(text))
        }
        // Last: the next table with the same damaged bytes must not pass for learned.
        bytes = Array(texts.bytes)
    }

    fileprivate mutating func learn(_ texts: [String]) {
        (bytes, ranges, isWanted) = ([], [], texts.map(filter.holds))
        for text in texts {
            ranges.append(bytes.count..<bytes.count + text.utf8.count)
            bytes += text.utf8
        }
        version += 1
    }
}

/// Alternatives; an empty list matches everything.
private struct TextFilter: Sendable {
    private let values: [[UInt8]]

    init(_ values: [String]) {
        self.values = values.map { Array($0.utf8) }
    }

    func holds(_ text: String) -> Bool { holds(text.utf8) }

    func holds(_ text: some Collection<UInt8>) -> Bool {
        values.isEmpty || values.contains { $0.count == text.count && $0.elementsEqual(text) }
    }
}

extension SIMD4<Int64> {
    fileprivate init(_ group: RollupGroup) {
        self.init(group.count, 0, 0, 0)
        if group.quarters.count == 4 { for quarter in 0..<4 { self[quarter] = group.quarters[quarter] } }
    }
}
