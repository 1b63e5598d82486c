/// Adds counts up under a query's filters and grouping. Names that are not asked for never become strings.
struct CountTally: CountReducer {
    private let query: CountQuery
    private let types: Filter
    private let sources: Filter
    private var places: [ExactText: Int] = [:]
    private var names: [ExactText] = []
    private var sums: [Int64] = []
    private var bytes = 0
    private var failure: (any Error)?
    /// Of the table before: mostly the next one has the same strings.
    private var known = (grouped: Dictionary(), filtered: Dictionary())

    /// Bytes of names and sums that one answer may hold while it is added up.
    static let byteLimit = 64 << 20

    init(_ query: CountQuery) {
        self.query = query
        types = Filter(query.types)
        sources = Filter(query.sources)
    }

    var project: String { query.project }
    var selection: Selection { query.selection }

    /// One for the same query that has counted nothing.
    var emptied: CountTally { CountTally(query) }

    /// Throws a ``QueryTooLargeError`` when there were more groups than may be held, and a ``StoreError`` when they add up to more than 64
    /// bits hold.
    var counts: Counts {
        get throws {
            try check()
            let groups = zip(names, sums).lazy.filter { $1 != 0 }.map { (name: $0, count: $1) }
            guard let counts = Counts(exact: groups, limit: query.limit) else { throw Self.overflow }
            return counts
        }
    }

    func check() throws {
        if let failure { throw failure }
    }

    // MARK: Adding

    mutating func add(_ row: EventCount) -> Bool {
        add(ExactText(query.grouping == .type ? row.type : row.source), row.count)
        return failure == nil
    }

    mutating func finish() {}

    mutating func add(_ other: CountTally) {
        failure = failure ?? other.failure
        for (name, sum) in zip(other.names, other.sums) { add(name, sum) }
    }

    /// Adds nothing where the table cannot be read: its bucket is to be counted from what is finer.
    mutating func add(_ table: GroupTable) throws(GroupTable.Unreadable) {
        if let groups = try table.earlierGroups() {
            for group in groups where types.holds(group.type) && sources.holds(group.source) {
                add(ExactText(query.grouping == .type ? group.type : group.source), group.count)
            }
            return
        }
        let byType = query.grouping == .type
        let (group, filter) = byType ? (types, sources) : (sources, types)
        var found: [Int64] = []
        try table.read { (types, sources) throws(GroupTable.Unreadable) in
            try known.grouped.learn(byType ? types : sources, group)
            try known.filtered.learn(byType ? sources : types, filter)
            found = Array(repeating: 0, count: known.grouped.strings.count)
        } row: { row in
            let (grouped, filtered) = byType ? (row.type, row.source) : (row.source, row.type)
            if known.filtered.strings[filtered].isWanted { found[grouped] &+= row.quarters.wrappedSum() }
        }
        let wanted = found.indices.filter { found[$0] != 0 && known.grouped.strings[$0].isWanted }
        let places = try wanted.map { (index) throws(GroupTable.Unreadable) in try place(ofString: index) }
        for (index, place) in zip(wanted, places) { add(place, found[index]) }
    }

    /// Where the sum of a dictionary's string is.
    private mutating func place(ofString index: Int) throws(GroupTable.Unreadable) -> Int {
        if let place = known.grouped.strings[index].place { return place }
        let place = place(of: ExactText(try known.grouped.text(index)))
        known.grouped.strings[index].place = place
        return place
    }

    private mutating func place(of name: ExactText) -> Int {
        if let place = places[name] { return place }
        let place = names.count
        places[name] = place
        names.append(name)
        sums.append(0)
        bytes += name.text.utf8.count + 96
        if bytes > Self.byteLimit { failure = failure ?? QueryTooLargeError(.tooManyGroups) }
        return place
    }

    private mutating func add(_ name: ExactText, _ count: Int64) {
        guard failure == nil else { return }
        add(place(of: name), count)
    }

    private mutating func add(_ place: Int, _ count: Int64) {
        let (sum, overflow) = sums[place].addingReportingOverflow(count)
        if overflow { failure = failure ?? Self.overflow }
        sums[place] = sum
    }

    private static let overflow = StoreError(
        .misconfigured, operation: "counts", "stored counts add up to more than 64 bits hold: some of them are damaged")
}

extension CountTally {
    /// Alternatives, all when there are none.
    private struct Filter {
        private let values: Set<ExactText>

        init(_ values: [String]) {
            self.values = Set(values.map(ExactText.init))
        }

        func holds(_ text: String) -> Bool { values.isEmpty || values.contains(ExactText(text)) }

        func holds(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
            values.isEmpty || values.contains { $0.text.utf8.count == bytes.count && $0.text.utf8.elementsEqual(bytes) }
        }
    }

    /// A table's strings: which of them the query wants, and where those are summed that it groups by.
    private struct Dictionary {
        struct Text {
            var range: Range<Int>
            var isWanted: Bool
            var place: Int?
        }

        private var bytes: [UInt8] = []
        var strings: [Text] = []

        mutating func learn(_ texts: GroupTable.Strings, _ filter: Filter) throws(GroupTable.Unreadable) {
            guard strings.count != texts.count || !bytes.elementsEqual(texts.bytes) else { return }
            (bytes, strings) = ([], [])
            var found: [Text] = []
            try texts.each { (text) throws(GroupTable.Unreadable) in
                let start = text.baseAddress.flatMap { base in texts.bytes.baseAddress.map { base - $0 } } ?? 0
                found.append(Text(range: start..<start + text.count, isWanted: filter.holds(text)))
            }
            (bytes, strings) = (Array(texts.bytes), found)
        }

        func text(_ index: Int) throws(GroupTable.Unreadable) -> String {
            guard let text = String(validating: bytes[strings[index].range], as: UTF8.self) else { throw .damaged }
            return text
        }
    }
}

/// A count that cannot be given exactly within what one answer may take.
public struct QueryTooLargeError: Error, Sendable, Equatable {
    public enum Reason: Sendable, Equatable {
        case tooManyGroups
        /// A minute of which no exact count by group was kept, and whose events are deleted.
        case uncounted(minute: Timestamp)
    }

    public var reason: Reason

    init(_ reason: Reason) {
        self.reason = reason
    }
}
