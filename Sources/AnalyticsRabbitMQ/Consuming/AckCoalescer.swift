import DequeModule

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

    private enum State {
        case held
        case done
        /// And the broker has been told.
        case told
    }

    /// What is done at the front is dropped at each ``flush()`` that has something to tell.
    private var states: Deque<State> = []
    private var first: UInt64 = 1
    private var done: [UInt64] = []

    /// Deliveries of which the broker has not been told that they are done.
    private(set) var outstanding = 0

    mutating func delivered() {
        states.append(.held)
        outstanding += 1
    }

    /// A delivery that is rejected, which is told apart from this: before the next ``flush()``, whose `multiple` may cover it.
    mutating func rejected() {
        states.append(.told)
    }

    /// Passes over what was not delivered or is done already.
    mutating func acknowledge(_ tag: UInt64) {
        guard tag >= first, tag - first < UInt64(states.count), states[Int(tag - first)] == .held else { return }
        states[Int(tag - first)] = .done
        done.append(tag)
    }

    /// What to tell the broker now.
    mutating func flush() -> [Acknowledgement] {
        guard !done.isEmpty else { return [] }
        outstanding -= done.count
        var last: UInt64?
        while let state = states.first, state != .held {
            if state == .done { last = first }
            states.removeFirst()
            first += 1
        }
        var result = last.map { [Acknowledgement(tag: $0, multiple: true)] } ?? []
        for tag in done where tag >= first {
            states[Int(tag - first)] = .told
            result.append(Acknowledgement(tag: tag, multiple: false))
        }
        done.removeAll(keepingCapacity: true)
        return result
    }
}
