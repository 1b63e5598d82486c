import Synchronization

/// One operation, as those see it who may want it to stop before its end.
final class OperationStop: Sendable {
    private enum State {
        case waiting
        /// With the id of its session, a document's bytes.
        case running(session: [UInt8])
        case stopped(session: [UInt8]?)
        case ended
    }

    private let state = Mutex(State.waiting)

    var isStopped: Bool {
        state.withLock { state in
            if case .stopped = state { true } else { false }
        }
    }

    /// The session of an operation that is to stop and has not ended yet.
    var sessionToKill: [UInt8]? {
        state.withLock { state in
            if case .stopped(let session) = state { session } else { nil }
        }
    }

    /// Returns `false` when it was stopped before.
    func begin(session: [UInt8]) -> Bool {
        state.withLock { state in
            guard case .waiting = state else { return false }
            state = .running(session: session)
            return true
        }
    }

    func end() {
        state.withLock { $0 = .ended }
    }

    /// Returns whether the server has to be told.
    func stop() -> Bool {
        state.withLock { state in
            switch state {
            case .waiting:
                state = .stopped(session: nil)
                return false
            case .running(let session):
                state = .stopped(session: session)
                return true
            case .stopped, .ended: return false
            }
        }
    }
}
