import AnalyticsCore

/// The messages of the events queue that wait, those delivered to each consumer, and the changes not yet in the file. Decides the
/// next deliveries. Does no I/O.
struct SQLiteQueueLedger {
    /// The changes that one transaction writes to the file.
    struct Settlement: Equatable {
        /// Acknowledged: their rows are deleted.
        var acknowledged = RangeSet<Int64>()
        /// Returned by a consumer that has ended: their delivery count is incremented.
        var returned = RangeSet<Int64>()
        /// Delivered after the commit, in the order of ids.
        var handouts: [Handout] = []
        /// All messages delivered after this. The file stores them, so that the next process knows which deliveries this one held when it
        /// died.
        var out = RangeSet<Int64>()
    }

    struct Handout: Equatable {
        var consumer: UInt64
        var ids: RangeSet<Int64>
    }

    private struct Consumer {
        var prefetch: Int
        var out = RangeSet<Int64>()
        var room: Int { max(0, prefetch - out.total) }
    }

    private var ready: RangeSet<Int64>
    private var consumers: [UInt64: Consumer] = [:]
    private var acknowledged = RangeSet<Int64>()
    private var returned = RangeSet<Int64>()
    /// The id of the next published message.
    private(set) var nextID: Int64

    init(ready: RangeSet<Int64>) {
        self.ready = ready
        nextID = ready.ranges.last?.upperBound ?? 1
    }

    var readyCount: Int { ready.total }
    var outCount: Int { consumers.values.reduce(0) { $0 + $1.out.total } }

    mutating func append(_ count: Int) {
        guard count > 0 else { return }
        ready.insert(contentsOf: nextID..<nextID + Int64(count))
        nextID += Int64(count)
    }

    mutating func addConsumer(_ consumer: UInt64, prefetch: Int) {
        consumers[consumer] = Consumer(prefetch: max(1, prefetch))
    }

    /// Its messages wait again, before younger ones.
    mutating func removeConsumer(_ consumer: UInt64) {
        guard let gone = consumers.removeValue(forKey: consumer) else { return }
        returned.formUnion(gone.out)
        ready.formUnion(gone.out)
    }

    /// Ignores handles of messages that are not delivered to that consumer.
    mutating func acknowledge(_ handles: [DeliveryHandle]) {
        for handle in handles {
            guard let id = Int64(exactly: handle.tag), id < .max, consumers[handle.epoch]?.out.contains(id) == true else { continue }
            consumers[handle.epoch]?.out.remove(contentsOf: id..<id + 1)
            acknowledged.insert(contentsOf: id..<id + 1)
        }
    }

    /// The next changes for the file, with at most `limit` messages delivered to consumers that want more; `nil` if there is nothing to
    /// write.
    mutating func nextSettlement(limit: Int, wantsMore: (_ consumer: UInt64) -> Bool = { _ in true }) -> Settlement? {
        let handouts = nextHandouts(limit: limit, wantsMore)
        guard !handouts.isEmpty || !acknowledged.isEmpty || !returned.isEmpty else { return nil }
        defer {
            acknowledged = RangeSet()
            returned = RangeSet()
        }
        let out = consumers.values.reduce(into: RangeSet<Int64>()) { $0.formUnion($1.out) }
        return Settlement(acknowledged: acknowledged, returned: returned, handouts: handouts, out: out)
    }

    /// The write failed: undoes ``nextSettlement(limit:wantsMore:)``.
    mutating func restore(_ settlement: Settlement) {
        acknowledged.formUnion(settlement.acknowledged)
        returned.formUnion(settlement.returned)
        takeBack(settlement.handouts)
    }

    /// Undoes handouts that were not delivered.
    mutating func takeBack(_ handouts: [Handout]) {
        for handout in handouts where consumers[handout.consumer] != nil {
            consumers[handout.consumer]?.out.subtract(handout.ids)
            ready.formUnion(handout.ids)
        }
    }

    /// Assigns the oldest messages to consumers with free prefetch, in equal shares, the consumer with the fewest messages first.
    private mutating func nextHandouts(limit: Int, _ wantsMore: (UInt64) -> Bool) -> [Handout] {
        var available = min(limit, ready.total)
        var waiting = consumers.filter { $0.value.room > 0 && wantsMore($0.key) }.sorted {
            ($0.value.out.total, $0.key) < ($1.value.out.total, $1.key)
        }[...]
        var handouts: [Handout] = []
        while available > 0, let (id, consumer) = waiting.popFirst() {
            let share = (available + waiting.count) / (waiting.count + 1)
            let ids = ready.prefix(min(share, consumer.room))
            ready.subtract(ids)
            consumers[id]?.out.formUnion(ids)
            available -= ids.total
            handouts.append(Handout(consumer: id, ids: ids))
        }
        return handouts
    }
}

extension RangeSet<Int64> {
    var total: Int { ranges.reduce(0) { $0 + $1.count } }

    fileprivate func prefix(_ count: Int) -> RangeSet<Int64> {
        var taken = RangeSet()
        var left = Int64(count)
        for range in ranges where left > 0 {
            let part = range.lowerBound..<Swift.min(range.upperBound, range.lowerBound + left)
            taken.insert(contentsOf: part)
            left -= Int64(part.count)
        }
        return taken
    }
}
