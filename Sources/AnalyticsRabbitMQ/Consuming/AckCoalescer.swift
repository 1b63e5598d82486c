/// Combines acknowledgements into as few frames as possible: one `multiple` for the completed prefix of the outstanding
/// deliveries, and single ones after a gap.
///
/// For one channel: delivery tags count from 1 and arrive in order (https://www.rabbitmq.com/docs/confirms#consumer-acks-delivery-tags).
/// The tag of a `multiple` must still be outstanding, or the broker closes the channel.
struct AckCoalescer {
    struct Acknowledgement: Equatable {
        var tag: UInt64
        var multiple: Bool
    }

    /// Delivered and not acknowledged.
    private var held = RangeSet<UInt64>()
    /// Acknowledged, but not sent to the broker yet.
    private var done: [UInt64] = []
    private var next: UInt64 = 1

    /// Deliveries whose acknowledgement the broker has not been sent yet.
    private(set) var outstanding = 0

    mutating func delivered() {
        held.insert(contentsOf: next..<next + 1)
        next += 1
        outstanding += 1
    }

    /// A rejected delivery. Its reject is sent separately, before the next ``flush()``, whose `multiple` may cover its tag.
    mutating func rejected() {
        next += 1
    }

    /// Ignores tags that were not delivered or are acknowledged already.
    mutating func acknowledge(_ tag: UInt64) {
        guard held.contains(tag) else { return }
        held.remove(contentsOf: tag..<tag + 1)
        done.append(tag)
    }

    /// The acknowledgements to send now.
    mutating func flush() -> [Acknowledgement] {
        guard !done.isEmpty else { return [] }
        outstanding -= done.count
        defer { done.removeAll(keepingCapacity: true) }
        let gap = held.ranges.first?.lowerBound ?? next
        let prefix = done.filter { $0 < gap }.max().map { Acknowledgement(tag: $0, multiple: true) }
        return [prefix].compactMap(\.self) + done.filter { $0 > gap }.map { Acknowledgement(tag: $0, multiple: false) }
    }
}
