package import AnalyticsCore
internal import Synchronization

extension MemoryBroker {
    /// What becomes of the message at this position of a publish.
    package func answer(_ body: @escaping @Sendable (QueueName, Int) -> Answer) { answer.withLock { $0 = body } }

    package func beforeSession(_ body: @escaping @Sendable () -> Void) { beforeSession.withLock { $0 = body } }

    package var ready: Int { state.withLock { $0.ready.count } }
    package var bodies: [[UInt8]] { state.withLock { $0.ready.map(\.body) } }
    package var dead: [[UInt8]] { state.withLock { $0.dead } }
    package var acknowledged: [[UInt8]] { state.withLock { $0.acknowledged } }
    package var unacknowledged: Int { state.withLock { $0.unacknowledged.count } }
    /// The most deliveries that a consumer has held at a time.
    package var mostHeld: Int { state.withLock { $0.mostHeld } }
    /// Bytes of deliveries that no task has taken, now and at the most.
    package var bytesWaiting: Int { state.withLock { $0.consumers.values.reduce(0) { $0 + ($1.session?.bytesWaiting ?? 0) } } }
    package var mostBytes: Int { state.withLock { $0.mostBytes } }
    /// Sessions begun so far.
    package var sessions: Int { state.withLock { Int($0.epoch) } }

    package func enqueue(_ bodies: [[UInt8]], redeliveries: Int = 0) {
        state.withLock { state in
            for body in bodies { state.enqueue(body, redeliveries: redeliveries) }
            state.handOut()
        }
    }

    /// The connection is lost and found again: what was not acknowledged comes again, in the next session.
    package func disconnect() { state.withLock { $0.disconnect() } }

    /// Until every message is acknowledged.
    package func untilIdle() async {
        await withCheckedContinuation { continuation in
            state.withLock { state in
                if state.isIdle { continuation.resume() } else { state.idle.append(continuation) }
            }
        }
    }
}
