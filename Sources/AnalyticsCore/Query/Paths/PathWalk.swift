/// Finds the path of a session or of a user: docs/queries.md says which. Pure.
struct PathWalk: Sendable {
    /// Steps beside the first.
    let steps: Int
    let isBackward: Bool
    /// Milliseconds between the first event and the last at the most.
    let window: Int64

    /// As events have it in their mark: the number of a key, and whether a path may begin there. Null is number 0.
    static func mark(key: Int32, isOrigin: Bool) -> Int32 { key << 1 | (isOrigin ? 1 : 0) }

    /// The numbers of the keys of a path; empty where none begins.
    ///
    /// - Parameters:
    ///   - events: In the order of time.
    ///   - range: Where a path may begin.
    ///   - keys: By their numbers.
    func path(of events: UnsafeBufferPointer<SessionCutter.Event>, beginningIn range: Range<Int64>, _ keys: [GroupKey]) -> [Int32] {
        let isOrigin = { (event: SessionCutter.Event) in event.mark & 1 != 0 && range.contains(event.time) }
        guard let origin = isBackward ? events.lastIndex(where: isOrigin) : events.firstIndex(where: isOrigin) else { return [] }
        let begin = events[origin].time
        let step = isBackward ? -1 : 1
        var place = origin
        // To the near side of its moment.
        while events.indices.contains(place - step), events[place - step].time == begin { place -= step }
        let precedes: (Int32, Int32) -> Bool = { [isBackward] a, b in isBackward ? keys[Int(b)] < keys[Int(a)] : keys[Int(a)] < keys[Int(b)]
        }
        var path: [Int32] = []
        while path.count <= steps, events.indices.contains(place), abs(events[place].time - begin) <= window {
            let time = events[place].time
            var moment: [Int32] = []
            var origins: [Int32] = []
            while events.indices.contains(place), events[place].time == time {
                let (key, isOrigin) = (events[place].mark >> 1, events[place].mark & 1 != 0)
                // What has no key is no step.
                if key != 0 { moment.append(key) }
                if isOrigin { origins.append(key) }
                place += step
            }
            if path.isEmpty, let first = origins.min(by: precedes) {
                path.append(first)
                if let place = moment.firstIndex(of: first) { moment.remove(at: place) }
            }
            moment.sort(by: precedes)
            path += moment.prefix(steps + 1 - path.count)
        }
        return path
    }
}
