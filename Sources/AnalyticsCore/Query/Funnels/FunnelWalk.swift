internal import Algorithms

/// The parts of a user's event that a funnel needs.
struct FunnelEvent: Sendable {
    /// Milliseconds since 1970.
    var time: Int64
    /// One bit for each step that the event matches; the first step is the lowest bit.
    var steps: UInt16
    /// Bit k: the event ends a path that has reached k steps.
    var exclusions: UInt16
    /// A value that the question defines.
    var mark: Int32
}

/// Finds the path through a funnel that counts for a user, as defined in docs/queries.md. Pure. Takes time proportional to the number
/// of events.
struct FunnelWalk: Sendable {
    /// The events of one moment.
    private struct Moment {
        var time: Int64
        /// The places of its events.
        var events: Range<Int>
        /// The union over its events.
        var steps: UInt16
        var exclusions: UInt16
    }

    let steps: Int
    /// Maximum milliseconds of a whole path.
    let window: Int64
    let order: FunnelQuery.Order
    /// The range in which a path may begin.
    let range: Range<Int64>

    /// The moments of the current user.
    private var moments: [Moment] = []
    /// By number of steps reached: the latest entry of a path with that many, or the moment at which such a path reaches the most steps.
    private var levels: [Int64]
    private var nextLevels: [Int64]
    private var serving: ServingEvents
    /// Moments of exclusions by number of steps reached, in descending order.
    private var excluded: [[Int64]]

    /// The events at the entry, and the moment of each step reached.
    private(set) var entry: Range<Int> = 0..<0
    private(set) var times: [Int64] = []

    init(steps: Int, window: Int64, order: FunnelQuery.Order, range: Range<Int64>) {
        self.steps = steps
        self.window = window
        self.order = order
        self.range = range
        levels = Array(repeating: .min, count: steps + 1)
        nextLevels = levels
        serving = ServingEvents(steps: steps)
        excluded = Array(repeating: [], count: steps)
    }

    /// Whether there is a path; if so, ``entry`` and ``times`` describe it.
    ///
    /// - Parameter events: The relevant events of a user; all of them for ``FunnelQuery/Order/strict``. Sorted on return.
    mutating func walk(_ events: inout [FunnelEvent]) -> Bool {
        times.removeAll(keepingCapacity: true)
        guard order == .any || events.contains(where: { $0.steps & 1 != 0 }) else { return false }
        if zip(events, events.dropFirst()).contains(where: { $0.time > $1.time }) { events.sort { $0.time < $1.time } }
        divide(events)
        switch order {
        case .ordered: walkInOrder(events)
        case .strict: walkStrictly(events)
        case .any: walkInAnyOrder(events)
        }
        return !times.isEmpty
    }

    private mutating func divide(_ events: [FunnelEvent]) {
        moments.removeAll(keepingCapacity: true)
        for (place, event) in events.enumerated() {
            if let last = moments.last, last.time == event.time {
                moments[moments.count - 1].events = last.events.lowerBound..<place + 1
                moments[moments.count - 1].steps |= event.steps
                moments[moments.count - 1].exclusions |= event.exclusions
            } else {
                moments.append(Moment(time: event.time, events: place..<place + 1, steps: event.steps, exclusions: event.exclusions))
            }
        }
    }

    /// How many consecutive steps, from `step` on, the events of a moment can serve.
    private func advance(_ step: Int, _ moment: Moment, _ events: [FunnelEvent]) -> Int {
        guard moment.steps & 1 << UInt16(step) != 0 else { return 0 }
        if moment.events.count == 1 || step + 1 == steps || moment.steps & 1 << UInt16(step + 1) == 0 { return 1 }
        var matching = StepMatching(events[moment.events].lazy.map(\.steps), steps: steps)
        var count = 0
        while step + count < steps, matching.serve(step + count) { count += 1 }
        return count
    }

    // MARK: In order

    private mutating func walkInOrder(_ events: [FunnelEvent]) {
        let most = mostSteps(events)
        guard most > 0, var place = earliestEntry(reaching: most, events) else { return }
        entry = moments[place].events
        while times.count < most, place < moments.count {
            times += repeatElement(moments[place].time, count: advance(times.count, moments[place], events))
            place += 1
        }
    }

    /// Of paths that have reached the same number of steps, only the latest entry matters: it has the most time left.
    private mutating func mostSteps(_ events: [FunnelEvent]) -> Int {
        for level in levels.indices { levels[level] = .min }
        var most = 0
        for moment in moments {
            for level in nextLevels.indices { nextLevels[level] = .min }
            for level in 1..<steps where levels[level] != .min && moment.time - levels[level] <= window {
                let count = advance(level, moment, events)
                if count == 0, moment.exclusions & 1 << UInt16(level) != 0 { continue }
                nextLevels[level + count] = max(nextLevels[level + count], levels[level])
                most = max(most, level + count)
            }
            if range.contains(moment.time) {
                let count = advance(0, moment, events)
                if count > 0 { nextLevels[count] = moment.time }
                most = max(most, count)
            }
            if most == steps { break }
            swap(&levels, &nextLevels)
        }
        return most
    }

    /// Goes from the last moment to the first, and keeps when a path that has reached a number of steps reaches the most.
    private mutating func earliestEntry(reaching most: Int, _ events: [FunnelEvent]) -> Int? {
        for level in levels.indices { levels[level] = .max }
        var found: Int?
        for place in moments.indices.reversed() {
            let moment = moments[place]
            if range.contains(moment.time) {
                let count = advance(0, moment, events)
                let end = count >= most ? moment.time : levels[count]
                if count > 0, end != .max, end - moment.time <= window { found = place }
            }
            for level in 1..<max(1, most) {
                let count = advance(level, moment, events)
                if count > 0 {
                    levels[level] = level + count >= most ? moment.time : levels[level + count]
                } else if moment.exclusions & 1 << UInt16(level) != 0 {
                    levels[level] = .max
                }
            }
        }
        return found
    }

    // MARK: Strictly in order

    private mutating func walkStrictly(_ events: [FunnelEvent]) {
        var way: [Int64] = []
        for place in moments.indices where times.count < steps && range.contains(moments[place].time) {
            let first = moments[place]
            // Events of the first moment that are not taken come before the entry.
            for taken in stride(from: advance(0, first, events), to: 0, by: -1) {
                way.removeAll(keepingCapacity: true)
                way += repeatElement(first.time, count: taken)
                for moment in moments[(place + 1)...] where way.count < steps {
                    guard moment.time - first.time <= window else { break }
                    let count = advance(way.count, moment, events)
                    way += repeatElement(moment.time, count: count)
                    // Remaining events of a moment lie between steps, unless the moment is the last.
                    guard count == moment.events.count else { break }
                }
                if way.count > times.count {
                    swap(&way, &times)
                    entry = first.events
                }
            }
        }
    }

    // MARK: In any order

    private mutating func walkInAnyOrder(_ events: [FunnelEvent]) {
        serving.removeAll()
        for step in excluded.indices { excluded[step].removeAll(keepingCapacity: true) }
        for moment in moments.reversed() {
            for event in events[moment.events] where event.steps != 0 { serving.prepend(event) }
            for step in excluded.indices where moment.exclusions & 1 << UInt16(step) != 0 { excluded[step].append(moment.time) }
            guard moment.steps != 0, range.contains(moment.time) else { continue }
            let way = serving.events.prefix { $0.time - moment.time <= window }
            let count = way.indices.dropFirst().first { isExcluded(way[$0 - 1].time, way[$0].time, after: $0) } ?? way.count
            // Entries are visited from last to first, so the earliest of equal length stays.
            guard count >= times.count else { continue }
            times.removeAll(keepingCapacity: true)
            times += way.prefix(count).lazy.map(\.time)
            entry = moment.events
        }
    }

    /// Whether an exclusion lies strictly between two moments.
    private func isExcluded(_ before: Int64, _ after: Int64, after step: Int) -> Bool {
        let moments = excluded[step]
        // In descending order.
        let place = moments.partitioningIndex { $0 <= before }
        return place > 0 && moments[place - 1] < after
    }
}
