/// Counts users by the steps of a funnel that they reach, and keeps the duration of each step.
struct FunnelTally: RowReducer {
    private final class Slot: Sendable {
        let begin: Int64
        let times: [UInt32]
        let masks: RowMasks
        /// The column to group by, and the combination of keys of each of its entries.
        let marked: RowColumn?
        let marks: [Int32]

        init(_ rows: EventRows, _ masks: RowMasks, _ marked: RowColumn?, _ marks: [Int32]) {
            begin = rows.day * RollupTier.day.milliseconds
            times = rows.times
            self.masks = masks
            self.marked = marked
            self.marks = marks
        }
    }

    private let query: FunnelQuery
    private let matcher: EventMatcher
    /// The exclusions follow the steps in a mask, one bit each. For each exclusion: after which numbers of steps it ends a path.
    private let exclusions: [UInt16]
    private let stepBits: UInt32
    private var walk: FunnelWalk
    private var slots: [Slot?] = []
    private var keys = KeyCombinations()
    private var events: [FunnelEvent] = []
    /// Whether events of a user were left out.
    private var isCut = false
    private var isUser = false
    /// By step.
    private var users: [Int64]
    /// By step, in the order of the users: milliseconds since the previous step, and the combination of keys.
    private var lengths: [[Int64]]
    private var owners: [[Int32]]
    private var bytes = 0

    /// Maximum bytes of times and keys, and of one user's events.
    static let byteLimit = 96 << 20

    init(_ query: FunnelQuery, _ range: Range<Timestamp>) {
        self.query = query
        matcher = EventMatcher(query.steps + query.exclusions.map(\.pattern))
        exclusions = query.exclusions.map { exclusion in
            exclusion.between.dropLast().reduce(into: UInt16(0)) { $0 |= 1 << UInt16($1) }
        }
        stepBits = 1 << UInt32(query.steps.count) - 1
        walk = FunnelWalk(
            steps: query.steps.count, window: Int64(query.windowSeconds) * 1_000, order: query.order,
            range: range.lowerBound.milliseconds..<range.upperBound.milliseconds)
        users = Array(repeating: 0, count: query.steps.count)
        lengths = Array(repeating: [], count: query.steps.count)
        owners = lengths.map { _ in [] }
    }

    var fields: [RowField] { matcher.fields + [query.dimension?.field].compactMap(\.self) }
    var isByActor: Bool { true }
    var needsTimes: Bool { true }

    // MARK: Adding

    mutating func load(_ rows: EventRows, slot: Int) throws(GroupTable.Unreadable) {
        while slots.count <= slot { slots.append(nil) }
        let masks = try matcher.masks(rows.columns[..<matcher.fields.count])
        var marks: [Int32] = []
        let marked = query.dimension == nil ? nil : rows.columns[matcher.fields.count]
        if let marked {
            for index in 0..<marked.entries.count {
                marks.append(keys.combination(of: EventMeasurement.keys(try marked.entries.scalars(index))))
            }
        }
        slots[slot] = Slot(rows, masks, marked, marks)
    }

    mutating func begin(isUser: Bool) { self.isUser = isUser }

    mutating func add(slot: Int, _ rows: Range<Int>) {
        guard isUser, let slot = slots[slot] else { return }
        guard !isTooLarge else {
            isCut = true
            return
        }
        for row in rows {
            let mask = slot.masks[row]
            // In strict order, an event that matches no step still separates steps.
            guard mask != 0 || query.order == .strict else { continue }
            var excluded: UInt16 = 0
            if mask > stepBits {
                for (number, bits) in exclusions.enumerated() where mask >> UInt32(query.steps.count + number) & 1 != 0 { excluded |= bits }
            }
            events.append(
                FunnelEvent(
                    time: slot.begin + Int64(slot.times[row]), steps: UInt16(truncatingIfNeeded: mask & stepBits), exclusions: excluded,
                    mark: slot.marked.map { slot.marks[$0.code(of: row)] } ?? -1))
        }
    }

    mutating func end() {
        guard !events.isEmpty else { return }
        var own = events
        // A second reference would copy the array.
        events = []
        if walk.walk(&own) { count(own[walk.entry]) }
        own.removeAll(keepingCapacity: true)
        events = own
    }

    /// - Parameter entry: The events at the moment at which the user enters.
    private mutating func count(_ entry: ArraySlice<FunnelEvent>) {
        let times = walk.times
        for step in times.indices {
            users[step] += 1
            if step > 0 { lengths[step].append(times[step] - times[step - 1]) }
        }
        bytes += (times.count - 1) * 8
        guard query.dimension != nil else { return }
        let isFirst: (FunnelEvent) -> Bool = query.order == .any ? { $0.steps != 0 } : { $0.steps & 1 != 0 }
        let marks = Set(entry.filter(isFirst).map(\.mark))
        guard !marks.isEmpty else { return }
        let combination = keys.union(marks)
        for step in times.indices { owners[step].append(combination) }
        bytes += times.count * 4
    }

    /// Maximum bytes per event while a user's path is searched: the event, its moment, and its place in the lists of exclusions.
    private var eventBytes: Int {
        let lists = query.order == .any && !query.exclusions.isEmpty ? query.steps.count - 1 : 0
        return MemoryLayout<FunnelEvent>.stride + 32 + lists * 8
    }

    private var isTooLarge: Bool {
        // Sorting takes the times a second time.
        bytes * 2 + keys.bytes > Self.byteLimit || events.count * eventBytes > Self.byteLimit
    }

    func check() throws {
        if isCut || isTooLarge { throw QueryTooLargeError(.tooManyKeys) }
    }

    /// Counted so far.
    func users(reaching step: Int) -> Int64 { users[step - 1] }

    // MARK: The answer

    func answer() throws -> Funnel {
        try check()
        let steps = query.steps.indices.map { Self.step($0, users[$0], lengths[$0]) }
        guard query.dimension != nil else { return Funnel(steps: steps, groups: [], other: nil) }
        let listed = listed()
        let groups = listed.enumerated().map { place, key in
            Funnel.Group(key: keys.keys[Int(key)], steps: self.steps { $0.contains(key) })
        }
        let isListed = Set(listed)
        let other = self.steps { combination in combination.contains { !isListed.contains($0) } }
        return Funnel(steps: steps, groups: groups, other: other[0].users == 0 ? nil : other)
    }

    /// The keys with the most users in the first step.
    private func listed() -> [Int32] {
        var counts = [Int64](repeating: 0, count: keys.keys.count)
        for combination in owners[0] {
            for key in keys.combinations[Int(combination)] { counts[Int(key)] += 1 }
        }
        return counts.indices.filter { counts[$0] > 0 }
            .sorted { counts[$0] != counts[$1] ? counts[$0] > counts[$1] : keys.keys[$0] < keys.keys[$1] }
            .prefix(query.limit).map { Int32($0) }
    }

    /// The steps of the users whose keys match.
    private func steps(_ isWanted: ([Int32]) -> Bool) -> [Funnel.Step] {
        let wanted = keys.combinations.map(isWanted)
        return query.steps.indices.map { step in
            let places = owners[step].indices.filter { wanted[Int(owners[step][$0])] }
            return Self.step(step, Int64(places.count), step == 0 ? [] : places.map { lengths[step][$0] })
        }
    }

    private static func step(_ step: Int, _ users: Int64, _ lengths: [Int64]) -> Funnel.Step {
        let sorted = lengths.sorted()
        return Funnel.Step(users: users, medianSeconds: Quantile.seconds(0.5, of: sorted), p90Seconds: Quantile.seconds(0.9, of: sorted))
    }
}
