import AnalyticsCore
import Logging
import Synchronization

/// The only task that writes. It runs while there is work, and executes the steps that the state decides.
extension SQLiteQueue {
    func startWorker() -> Task<Void, Never> {
        Task { await work() }
    }

    private func work() async {
        var backoff = Backoff(first: .milliseconds(100), cap: .seconds(1))
        while let step = state.withLock({
            $0.nextStep(handoutLimit: limits.handoutMessages, settles: backoff.failures == 0 || !$0.isClosed)
        }) {
            switch step {
            case .settle(let settlement):
                if await settle(settlement) {
                    backoff.reset()
                } else {
                    try? await Task.sleep(for: backoff.next())
                }
            case .append(let group, let firstID, let afterFailure):
                await append(group, firstID: firstID, afterFailure: afterFailure)
            case .shrink:
                let more = (try? await file.shrink()) ?? false
                state.withLock { $0.shrunk(more: more) }
            }
        }
    }

    private func settle(_ settlement: SQLiteQueueLedger.Settlement) async -> Bool {
        do {
            let handed = try await file.settle(settlement, maximumBytes: limits.handoutBytes)
            let consumers = state.withLock { state in
                state.ledger.takeBack(handed.unread)
                return state.consumers
            }
            for (consumer, delivery) in handed.deliveries { consumers[consumer]?.session.deliver(delivery) }
            succeeded(.settle)
            return true
        } catch {
            state.withLock { $0.ledger.restore(settlement) }
            _ = failed(.settle, error)
            return false
        }
    }

    private func append(_ group: SQLiteQueueBacklog.Group, firstID: Int64, afterFailure: Bool) async {
        let watchdog = Task {
            try await Task.sleep(for: limits.confirmTimeout)
            expire()
        }
        defer { watchdog.cancel() }
        let rows = group.rows()
        let outcome: PublishOutcome
        do {
            try await file.append(rows, firstID: firstID, afterFailure: afterFailure)
            watchdog.cancel()
            succeeded(.append)
            outcome = .confirmed
        } catch {
            outcome = .unconfirmed(failed(.append, error))
        }
        let answered = state.withLock { state in
            if outcome == .confirmed {
                state.ledger.append(rows.count { $0.queue == .events })
                state.deadLetters += rows.count { $0.queue == .deadLetters }
            }
            return state.backlog.finishGroup()
        }
        for entry in answered { entry.answer(outcome) }
    }

    /// The disk hangs: all waiting publishers get an answer now. The current transaction may still be committed.
    private func expire() {
        let reason = "no commit within \(limits.confirmTimeout)"
        guard !Task.isCancelled else { return }
        let (expired, isNew) = state.withLock { state in
            (state.backlog.expire(), state.health.failed(.append, reason, at: .now))
        }
        for entry in expired { entry.answer(.unconfirmed(reason)) }
        if isNew { logger.error("the queue's file hangs", metadata: ["unconfirmed": "\(expired.count)"]) }
    }

    func succeeded(_ operation: SQLiteQueueHealth.Operation) {
        if state.withLock({ $0.health.succeeded(operation) }) { logger.notice("the queue's file can be written again") }
    }

    func failed(_ operation: SQLiteQueueHealth.Operation, _ error: any Error) -> String {
        let reason = "the queue's file cannot be written: \(error)"
        let isNew = state.withLock { $0.health.failed(operation, reason, at: .now) }
        if isNew { logger.error("the queue's file cannot be written", metadata: ["error": "\(error)"]) }
        return reason
    }
}
