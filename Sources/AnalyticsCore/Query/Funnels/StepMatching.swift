/// Which steps the events of a moment can serve, one step per event: augmenting paths in a bipartite graph.
struct StepMatching {
    private var events: [UInt16] = []
    /// Per event the step that it serves; -1 for none.
    private var served: [Int] = []

    /// - Parameter events: One bit for each step that an event matches. Of equal events, only as many as there are steps can matter.
    init(_ events: some Sequence<UInt16>, steps: Int) {
        var counts: [UInt16: Int] = [:]
        for event in events where event != 0 {
            let count = counts[event, default: 0]
            guard count < steps else { continue }
            counts[event] = count + 1
            self.events.append(event)
        }
        served = Array(repeating: -1, count: self.events.count)
    }

    /// Finds an event for one more step; every served step stays served. False if there is none.
    mutating func serve(_ step: Int) -> Bool {
        var isTried = Array(repeating: false, count: events.count)
        return serve(step, &isTried)
    }

    private mutating func serve(_ step: Int, _ isTried: inout [Bool]) -> Bool {
        for event in events.indices where !isTried[event] && events[event] & 1 << UInt16(step) != 0 {
            isTried[event] = true
            if served[event] < 0 || serve(served[event], &isTried) {
                served[event] = step
                return true
            }
        }
        return false
    }
}

/// The earliest events, in order of time, each of which raises the number of steps that can be served. Events are added from last to first.
struct ServingEvents {
    private(set) var events: [FunnelEvent] = []
    private let steps: Int
    /// Per step, the place of the event that serves it.
    private var servers: [Int]

    init(steps: Int) {
        self.steps = steps
        servers = Array(repeating: -1, count: steps)
    }

    mutating func removeAll() { events.removeAll(keepingCapacity: true) }

    /// A later event stays if it still adds a step after the earlier one. (Sets of events that can be served are a matroid.)
    mutating func prepend(_ event: FunnelEvent) {
        func isOneStep(_ event: FunnelEvent) -> Bool { event.steps.nonzeroBitCount == 1 }
        if isOneStep(event), events.allSatisfy(isOneStep) {
            if let same = events.firstIndex(where: { $0.steps == event.steps }) { events.remove(at: same) }
            return events.insert(event, at: 0)
        }
        let later = events
        events.removeAll(keepingCapacity: true)
        for step in servers.indices { servers[step] = -1 }
        append(event)
        for event in later where events.count < steps { append(event) }
    }

    private mutating func append(_ event: FunnelEvent) {
        events.append(event)
        var tried: UInt16 = 0
        if !place(events.count - 1, &tried) { events.removeLast() }
    }

    private mutating func place(_ event: Int, _ tried: inout UInt16) -> Bool {
        for step in 0..<steps where events[event].steps & ~tried & 1 << UInt16(step) != 0 {
            tried |= 1 << UInt16(step)
            if servers[step] < 0 || place(servers[step], &tried) {
                servers[step] = event
                return true
            }
        }
        return false
    }
}
