/// Builds tables of minutes that a store counts from its events. Takes no more minutes beyond ``byteLimit`` bytes of tables.
struct MinuteTables: CountReducer {
    private(set) var tables: [Int64: GroupTable] = [:]
    /// The number of events per table.
    private(set) var events: [Int64: Int64] = [:]
    /// The same events by the day of their receipt.
    private var received: [Int64: ReceivedTable] = [:]
    /// The first minute that was not counted; `nil` if all were.
    private(set) var next: Int64?

    private let wanted: Set<Int64>?
    private let byteLimit: Int
    private var bytes = 0
    private var minute: Int64?
    private var sums = GroupSums(hasQuarters: false)
    /// `nil` if the time of receipt of an event cannot be read.
    private var days: ReceivedSums? = ReceivedSums()
    private var sum: Int64 = 0
    let isByReceipt: Bool

    static let byteLimit = 4 << 20

    /// - Parameter wanted: The minutes to build tables for; all if `nil`.
    init(of wanted: Set<Int64>? = nil, byteLimit: Int = Self.byteLimit, isByReceipt: Bool = false) {
        self.wanted = wanted
        self.byteLimit = byteLimit
        self.isByReceipt = isByReceipt
    }

    /// `nil` if a table cannot hold it, if a time of receipt cannot be read, or if the count was not by receipt.
    func received(in minute: Int64) -> ReceivedTable? { tables[minute] == nil ? .empty : received[minute] }

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
        if isByReceipt {
            if let day = row.received { days?.add(row.count, on: day) } else { days = nil }
        }
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
        if isByReceipt { received[minute] = days?.table }
        bytes += table.size + (received[minute]?.bytes.count ?? 0) + 32
        sums = GroupSums(hasQuarters: false)
        days = ReceivedSums()
        sum = 0
    }
}

extension RollupStore {
    /// Counts minutes from their events, until the tables reach ``MinuteTables/byteLimit`` bytes; at least one minute.
    func countMinutes(
        of project: ProjectID, in ranges: [Range<Int64>], wanted: Set<Int64>? = nil, byteLimit: Int = MinuteTables.byteLimit,
        isByReceipt: Bool = false
    ) async throws(StoreError) -> MinuteTables {
        let tables = MinuteTables(of: wanted, byteLimit: byteLimit, isByReceipt: isByReceipt)
        return try await countEvents(Selection(project: project), in: ranges.map(\.times), into: tables)
    }
}
