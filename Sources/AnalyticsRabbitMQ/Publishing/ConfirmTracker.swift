import AnalyticsCore
import DequeModule

/// Matches the broker's confirms to the messages published on one connection: acks and nacks, single or `multiple`, and returns, which
/// precede their ack (https://www.rabbitmq.com/docs/confirms, https://www.rabbitmq.com/docs/publishers#unroutable).
///
/// Sequence numbers begin at 1 on each connection, so ``reset(_:)`` must be called at its end. A message whose publisher already has an
/// outcome stays until the broker confirms or refuses it: it is in flight and takes up the window.
struct ConfirmTracker<Token> {
    struct Settlement {
        var token: Token
        var outcome: PublishOutcome
    }

    private struct Entry {
        var token: Token
        var bytes: Int
        var isJoinable: Bool
        var sentAt: Instant
        var deadline: Instant
        var returned: String?
        /// Whether the broker has confirmed or refused it.
        var isSettled = false
    }

    /// The first entry is never settled.
    private var entries: Deque<Entry> = []
    /// The sequence number of the first entry.
    private var first: UInt64 = 1
    /// Publishers have an outcome for all messages up to this one.
    private var toldThrough: UInt64 = 0
    /// Published, and neither confirmed nor refused by the broker.
    private(set) var messagesInFlight = 0
    private(set) var bytesInFlight = 0
    /// Those of ``messagesInFlight`` that are joinable.
    private(set) var joinableInFlight = 0

    private var next: UInt64 { first + UInt64(entries.count) }

    /// Whether no publisher waits for the broker.
    var isEverybodyTold: Bool { entries.isEmpty || toldThrough + 1 >= next }

    /// When the oldest unsettled message was written.
    var oldest: Instant? { entries.first?.sentAt }

    /// When ``expire(now:)`` has something to do next.
    var deadline: Instant? {
        isEverybodyTold ? nil : entries[index(of: max(first, toldThrough + 1))].deadline
    }

    /// Deadlines must not decrease from call to call. Returns the message's sequence number.
    mutating func published(
        _ token: Token, bytes: Int, isJoinable: Bool = false, now: Instant, deadline: Instant
    ) -> UInt64 {
        entries.append(Entry(token: token, bytes: bytes, isJoinable: isJoinable, sentAt: now, deadline: deadline))
        messagesInFlight += 1
        if isJoinable { joinableInFlight += 1 }
        bytesInFlight += bytes
        return next - 1
    }

    /// The broker could not route the message. The ack that follows settles it.
    mutating func returned(_ sequence: UInt64, reason: String) {
        guard sequence >= first, sequence < next else { return }
        entries[index(of: sequence)].returned = reason
    }

    mutating func acknowledged(_ sequence: UInt64, multiple: Bool) -> [Settlement] {
        settle(sequence, multiple: multiple) { entry in
            entry.returned.map { .unconfirmed("the broker returned it: \($0)") } ?? .confirmed
        }
    }

    mutating func refused(_ sequence: UInt64, multiple: Bool) -> [Settlement] {
        settle(sequence, multiple: multiple) { _ in .unconfirmed("the broker refused it") }
    }

    /// Settles messages whose deadline has passed, for their publishers.
    mutating func expire(now: Instant) -> [Settlement] {
        tell("the broker has not confirmed it in time") { $0.deadline <= now }
    }

    /// Settles all messages whose publishers still wait.
    mutating func giveUp(_ reason: String) -> [Settlement] {
        tell(reason) { _ in true }
    }

    /// The connection is lost: settles all messages and starts again.
    mutating func reset(_ reason: String) -> [Settlement] {
        defer { self = ConfirmTracker() }
        return giveUp(reason)
    }

    private mutating func settle(_ sequence: UInt64, multiple: Bool, _ outcome: (Entry) -> PublishOutcome) -> [Settlement] {
        guard sequence >= first, sequence < next else { return [] }
        var settlements: [Settlement] = []
        for current in (multiple ? first : sequence)...sequence {
            let index = index(of: current)
            let entry = entries[index]
            guard !entry.isSettled else { continue }
            entries[index].isSettled = true
            messagesInFlight -= 1
            if entry.isJoinable { joinableInFlight -= 1 }
            bytesInFlight -= entry.bytes
            if current > toldThrough { settlements.append(Settlement(token: entry.token, outcome: outcome(entry))) }
        }
        while entries.first?.isSettled == true {
            entries.removeFirst()
            first += 1
        }
        return settlements
    }

    private mutating func tell(_ reason: String, while condition: (Entry) -> Bool) -> [Settlement] {
        var settlements: [Settlement] = []
        var sequence = max(first, toldThrough + 1)
        while sequence < next {
            let entry = entries[index(of: sequence)]
            guard entry.isSettled || condition(entry) else { break }
            if !entry.isSettled { settlements.append(Settlement(token: entry.token, outcome: .unconfirmed(reason))) }
            toldThrough = sequence
            sequence += 1
        }
        return settlements
    }

    private func index(of sequence: UInt64) -> Int { Int(sequence - first) }
}
