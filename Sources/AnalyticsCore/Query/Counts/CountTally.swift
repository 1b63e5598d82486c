/// Adds up counts by a query's filters and grouping.
struct CountTally: GroupReducer {
    private let query: CountQuery
    private var groups: SelectedGroups
    private var places: [BytewiseString: Int] = [:]
    private var names: [BytewiseString] = []
    private var sums: [Int64] = []
    private var bytes = 0
    private var failure: (any Error)?
    /// The places in ``sums`` of the last table's strings, by ``TableTexts/version``.
    private var known: (version: Int, places: [Int?]) = (0, [])

    /// Maximum bytes of names and sums while an answer is added up.
    static let byteLimit = 64 << 20

    init(_ query: CountQuery) {
        self.query = query
        groups = SelectedGroups(query.selection)
    }

    var emptied: CountTally { CountTally(query) }

    /// Throws a ``QueryTooLargeError`` for too many groups, and a ``StoreError`` if the sum exceeds 64 bits.
    func answer() throws -> Counts {
        try check()
        let groups = zip(names, sums).lazy.filter { $1 != 0 }.map { (name: $0, count: $1) }
        guard let counts = Counts(exact: groups, limit: query.limit) else { throw Self.overflow }
        return counts
    }

    func check() throws {
        if let failure { throw failure }
    }

    // MARK: Adding

    mutating func add(_ row: EventCount, from start: Timestamp) -> Bool {
        add(BytewiseString(query.grouping == .type ? row.type : row.source), row.count)
        return failure == nil
    }

    mutating func merge(_ other: CountTally) {
        failure = failure ?? other.failure
        for (name, sum) in zip(other.names, other.sums) { add(name, sum) }
    }

    mutating func add(_ table: GroupTable, of bucket: BucketSpan) throws(GroupTable.Unreadable) {
        let byType = query.grouping == .type
        var found: [Int64] = []
        try groups.read(table) { types, sources in
            found = Array(repeating: 0, count: byType ? types : sources)
        } row: { row in
            found[byType ? row.type : row.source] &+= row.quarters.wrappedSum()
        }
        guard !found.isEmpty else { return }
        let texts = byType ? groups.types : groups.sources
        if known.version != texts.version { known = (texts.version, Array(repeating: nil, count: found.count)) }
        let wanted = found.indices.filter { found[$0] != 0 }
        let places = try wanted.map { (index) throws(GroupTable.Unreadable) in try place(of: index, in: texts) }
        for (place, index) in zip(places, wanted) { add(place, found[index]) }
    }

    private mutating func place(of index: Int, in texts: TableTexts) throws(GroupTable.Unreadable) -> Int {
        if let place = known.places[index] { return place }
        let place = place(of: BytewiseString(try texts.text(index)))
        known.places[index] = place
        return place
    }

    private mutating func place(of name: BytewiseString) -> Int {
        if let place = places[name] { return place }
        let place = names.count
        places[name] = place
        names.append(name)
        sums.append(0)
        bytes += name.text.utf8.count + 96
        if bytes > Self.byteLimit { failure = failure ?? QueryTooLargeError(.tooManyGroups) }
        return place
    }

    private mutating func add(_ name: BytewiseString, _ count: Int64) {
        guard failure == nil else { return }
        add(place(of: name), count)
    }

    private mutating func add(_ place: Int, _ count: Int64) {
        let (sum, overflow) = sums[place].addingReportingOverflow(count)
        if overflow { failure = failure ?? Self.overflow }
        sums[place] = sum
    }

    private static let overflow = StoreError(
        .misconfigured, operation: "counts", "the sum of the stored counts exceeds 64 bits: some of them are damaged")
}
