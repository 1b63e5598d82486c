/// Turns single acknowledgements into as few as the broker needs: one `multiple` for a prefix of the outstanding deliveries that is
/// complete, and single ones for what lies beyond a gap.
///
/// For one channel: delivery tags count from 1 and come in order (https://www.rabbitmq.com/docs/confirms#consumer-acks-delivery-tags).
/// The tag of a `multiple` has to be one that is still outstanding, or the broker closes the channel.
struct AckCoalescer {
    struct Acknowledgement: Equatable {
        var tag: UInt64
        var multiple: Bool
    }

    /// Delivered and not done.
    private var held = RangeSet<UInt64>()
    /// Done, and the broker has not been told.
    private var done: [UInt64] = []
    private var next: UInt64 = 1

    /// Deliveries of which the broker has not been told that they are done.
    private(set) var outstanding = 0

    mutating func delivered() {
        held.insert(contentsOf: next..<next + 1)
        next += 1
        outstanding += 1
    }

    /// A delivery that is rejected, which is told apart from this: before the next ``flush()``, whose `multiple` may cover it.
    mutating func rejected() {
        next += 1
    }

    /// Passes over what was not delivered or is done already.
    mutating func acknowledge(_ tag: UInt64) {
        guard held.contains(tag) else { return }
        held.remove(contentsOf: tag..<tag + 1)
        done.append(tag)
    }

    /// What to tell the broker now.
    mutating func flush() -> [Acknowledgement] {
        guard !done.isEmpty else { return [] }
        outstanding -= done.count
        defer { done.removeAll(keepingCapacity: true) }
        let gap = held.ranges.first?.lowerBound ?? next
        let prefix = done.filter { $0 < gap }.max().map { Acknowledgement(tag: $0, multiple: true) }
        return [prefix].compactMap(\.self) + done.filter { $0 > gap }.map { Acknowledgement(tag: $0, multiple: false) }
    }
}
