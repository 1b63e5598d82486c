/// Finds the path of a session or of a user, as defined in docs/queries.md. Pure.
struct PathWalk: Sendable {
    /// Steps in addition to the first.
    let steps: Int
    let isBackward: Bool
    /// Maximum milliseconds between the first event and the last.
    let window: Int64

    /// The mark of an event: the number of its key, and whether a path may begin there. Null is number 0.
    static func mark(key: Int32, isOrigin: Bool) -> Int32 { key << 1 | (isOrigin ? 1 : 0) }

    /// The numbers of the keys of a path; empty if there is none.
    ///
    /// - Parameters:
    ///   - events: In order of time.
    ///   - range: The range in which a path may begin.
    ///   - keys: The keys by number.
    func path(of events: UnsafeBufferPointer<SessionCutter.Event>, beginningIn range: Range<Int64>, _ keys: [GroupKey]) -> [Int32] {
        let isOrigin = { (event: SessionCutter.Event) in event.mark & 1 != 0 && range.contains(event.time) }
        guard let origin = isBackward ? events.lastIndex(where: isOrigin) : events.firstIndex(where: isOrigin) else { return [] }
        let begin = events[origin].time
        let step = isBackward ? -1 : 1
        var place = origin
        // Go to the first event of this moment, in the walk's direction.
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
                // An event without a key is not a step.
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
