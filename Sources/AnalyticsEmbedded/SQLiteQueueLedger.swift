import AnalyticsCore

/// Which messages of the events queue wait, which are out and with whom, and what the file has yet to learn of it. Decides who gets
/// what next; reads and writes nothing.
struct SQLiteQueueLedger {
    /// What one transaction brings to the file.
    struct Settlement: Equatable {
        /// Done with: their rows go.
        var acknowledged = RangeSet<Int64>()
        /// Came back from a consumer that is gone: delivered once more than before.
        var returned = RangeSet<Int64>()
        /// Goes out once this is committed, in the order of ids.
        var handouts: [Handout] = []
        /// All that is out from then on. The file keeps it, so that the next process knows what this one had in hand when it died.
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
    /// The id of the message published next.
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

    /// Its messages wait again, ahead of younger ones.
    mutating func removeConsumer(_ consumer: UInt64) {
        guard let gone = consumers.removeValue(forKey: consumer) else { return }
        returned.formUnion(gone.out)
        ready.formUnion(gone.out)
    }

    /// Handles that name nothing that is out with their own consumer are passed over.
    mutating func acknowledge(_ handles: [DeliveryHandle]) {
        for handle in handles {
            guard let id = Int64(exactly: handle.tag), id < .max, consumers[handle.epoch]?.out.contains(id) == true else { continue }
            consumers[handle.epoch]?.out.remove(contentsOf: id..<id + 1)
            acknowledged.insert(contentsOf: id..<id + 1)
        }
    }

    /// What the file should learn next, at most `limit` messages handed out, to consumers that want more; `nil` when there is nothing.
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

    /// The file did not take it: as if it had not been asked for.
    mutating func restore(_ settlement: Settlement) {
        acknowledged.formUnion(settlement.acknowledged)
        returned.formUnion(settlement.returned)
        takeBack(settlement.handouts)
    }

    /// These were not handed out after all.
    mutating func takeBack(_ handouts: [Handout]) {
        for handout in handouts where consumers[handout.consumer] != nil {
            consumers[handout.consumer]?.out.subtract(handout.ids)
            ready.formUnion(handout.ids)
        }
    }

    /// The oldest messages, in equal shares to those who have room, the one with the least in hand first.
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
