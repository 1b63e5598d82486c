/// The outcomes of a flush's events, by minute of acceptance.
struct PipelineTally: Equatable {
    private(set) var counts: [PipelineLedger.Key: PipelineCounts] = [:]

    /// Adds the events of one section of a delivery, which were received together.
    mutating func add(_ section: WriteBuffer.Section, redeliveries: Int, _ outcomes: some Collection<InsertOutcome>) {
        guard let first = section.events.first?.event else { return }
        let key = PipelineLedger.Key(project: first.project, minute: first.receivedAt.minute)
        counts[key, default: PipelineCounts()].add(outcomes, isFirstDelivery: redeliveries == 0, receivedAt: first.receivedAt)
    }

    /// Adds events that are dead-lettered with their whole delivery.
    mutating func addWhole(_ count: Int, isFirstDelivery: Bool, project: ProjectID, receivedAt: Timestamp) {
        let key = PipelineLedger.Key(project: project, minute: receivedAt.minute)
        counts[key, default: PipelineCounts()].add(
            repeatElement(InsertOutcome.refused(""), count: count), isFirstDelivery: isFirstDelivery, receivedAt: receivedAt)
    }
}

extension PipelineCounts {
    /// An event that this insert stored is counted exactly once, in any delivery. Other outcomes are certain only in a first delivery:
    /// before a redelivery, another process may have counted the event and crashed before it acknowledged.
    fileprivate mutating func add(_ outcomes: some Collection<InsertOutcome>, isFirstDelivery: Bool, receivedAt: Timestamp) {
        for outcome in outcomes {
            switch outcome {
            case .stored: stored += 1
            case .redelivered: redelivered += 1
            case _ where !isFirstDelivery: redelivered += 1
            case .duplicate: duplicates += 1
            case .conflict, .refused, .expired: deadLettered += 1
            case .erased: erased += 1
            }
        }
        through = max(through ?? receivedAt, receivedAt)
    }
}
