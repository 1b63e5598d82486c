import Foundation
import Synchronization

/// One operation, as those see it who may want it to stop before its end.
final class OperationStop: Sendable {
    private enum State {
        case waiting
        /// With the id of its session, a document's bytes.
        case running(session: [UInt8])
        case stopped(session: [UInt8]?)
        /// The server is being told.
        case killing(session: [UInt8])
        case ended
    }

    private let state = Mutex(State.waiting)

    /// Longer than telling the server takes.
    private static let longestKill = Duration.seconds(10)

    var isStopped: Bool {
        state.withLock { state in
            switch state {
            case .stopped, .killing: true
            default: false
            }
        }
    }

    /// The session of an operation that is to stop and has not ended yet. It does not end before ``endKill()``.
    func beginKill() -> [UInt8]? {
        state.withLock { state in
            guard case .stopped(let session?) = state else { return nil }
            state = .killing(session: session)
            return session
        }
    }

    func endKill() {
        state.withLock { state in
            if case .killing(let session) = state { state = .stopped(session: session) }
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

    /// Waits until the server has been told, if that is under way: the driver gives a session that has ended to the next operation, which would
    /// be stopped in its place. To be called on a thread that may block.
    func end() {
        let deadline = ContinuousClock.now + Self.longestKill
        while !state.withLock({ state in
            if case .killing = state, .now < deadline { return false }
            state = .ended
            return true
        }) { Thread.sleep(forTimeInterval: 0.001) }
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
            case .stopped, .killing, .ended: return false
            }
        }
    }
}
