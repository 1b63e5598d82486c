/// Builds tables of minutes that a store counts from its events. Takes no more minutes beyond ``byteLimit`` bytes of tables.
struct MinuteTables: CountReducer {
    private(set) var tables: [Int64: GroupTable] = [:]
    /// The number of events per table.
    private(set) var events: [Int64: Int64] = [:]
    /// The first minute that was not counted; `nil` if all were.
    private(set) var next: Int64?

    private let wanted: Set<Int64>?
    private let byteLimit: Int
    private var bytes = 0
    private var minute: Int64?
    private var sums = GroupSums(hasQuarters: false)
    private var sum: Int64 = 0

    static let byteLimit = 4 << 20

    /// - Parameter wanted: The minutes to build tables for; all if `nil`.
    init(of wanted: Set<Int64>? = nil, byteLimit: Int = Self.byteLimit) {
        self.wanted = wanted
        self.byteLimit = byteLimit
    }

    mutating func add(_ row: EventCount) -> Bool {
        if row.minute != minute {
            close()
            guard tables.isEmpty || bytes < byteLimit else {
                next = row.minute
                return false
            }
            minute = row.minute
        }
        guard wanted?.contains(row.minute) ?? true else { return true }
        sums.add(type: row.type, source: row.source, quarters: SIMD4(row.count, 0, 0, 0), bots: SIMD4(row.bots, 0, 0, 0))
        sum &+= row.count
        return true
    }

    mutating func finish() { close() }

    private mutating func close() {
        guard let minute else { return }
        self.minute = nil
        guard wanted?.contains(minute) ?? true else { return }
        let table = sums.table
        tables[minute] = table
        events[minute] = sum
        bytes += table.size + 32
        sums = GroupSums(hasQuarters: false)
        sum = 0
    }
}

extension RollupStore {
    /// Counts minutes from their events, until the tables reach ``MinuteTables/byteLimit`` bytes; at least one minute.
    func countMinutes(
        of project: ProjectID, in ranges: [Range<Int64>], wanted: Set<Int64>? = nil, byteLimit: Int = MinuteTables.byteLimit
    ) async throws(StoreError) -> MinuteTables {
        try await countEvents(Selection(project: project), in: ranges.map(\.times), into: MinuteTables(of: wanted, byteLimit: byteLimit))
    }
}
