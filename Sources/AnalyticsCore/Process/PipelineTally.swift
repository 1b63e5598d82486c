/// What became of the events of a flush, by the minutes in which they were accepted.
struct PipelineTally: Equatable {
    private(set) var counts: [PipelineLedger.Key: PipelineCounts] = [:]

    /// Adds the events of one section of a delivery, which came in together.
    mutating func add(_ section: WriteBuffer.Section, redeliveries: Int, _ outcomes: some Collection<InsertOutcome>) {
        guard let first = section.events.first?.event else { return }
        let key = PipelineLedger.Key(project: first.project, minute: first.receivedAt.minute)
        counts[key, default: PipelineCounts()].add(outcomes, isFirstDelivery: redeliveries == 0, receivedAt: first.receivedAt)
    }

    /// Adds events that are dead-lettered with the whole delivery that they came in.
    mutating func addWhole(_ count: Int, isFirstDelivery: Bool, project: ProjectID, receivedAt: Timestamp) {
        let key = PipelineLedger.Key(project: project, minute: receivedAt.minute)
        counts[key, default: PipelineCounts()].add(
            repeatElement(InsertOutcome.refused(""), count: count), isFirstDelivery: isFirstDelivery, receivedAt: receivedAt)
    }
}

extension PipelineCounts {
    /// Only an event that this very insert has stored is known to be counted once, however often it is delivered. Of all else that is known where
    /// the delivery is the first: on a later one the processor before may have counted it and died before it acknowledged.
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
