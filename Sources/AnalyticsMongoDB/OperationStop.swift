import Foundation
import Synchronization

/// The state of one operation that may have to stop early.
final class OperationStop: Sendable {
    private enum State {
        case waiting
        /// The id of its session: the bytes of a document.
        case running(session: [UInt8])
        case stopped(session: [UInt8]?)
        /// The kill command is being sent to the server.
        case killing(session: [UInt8])
        case ended
    }

    private let state = Mutex(State.waiting)

    /// Longer than a kill command takes.
    private static let longestKill = Duration.seconds(10)

    var isStopped: Bool {
        state.withLock { state in
            switch state {
            case .stopped, .killing: true
            default: false
            }
        }
    }

    /// The session of an operation that should stop and has not ended yet. The operation does not end before ``endKill()``.
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

    /// Returns `false` if the operation was stopped before.
    func begin(session: [UInt8]) -> Bool {
        state.withLock { state in
            guard case .waiting = state else { return false }
            state = .running(session: session)
            return true
        }
    }

    /// Waits for a kill command that is being sent. The driver reuses an ended session for the next operation, and the kill would
    /// stop that one instead. Call it on a thread that may block.
    func end() {
        let deadline = ContinuousClock.now + Self.longestKill
        while !state.withLock({ state in
            if case .killing = state, .now < deadline { return false }
            state = .ended
            return true
        }) { Thread.sleep(forTimeInterval: 0.001) }
    }

    /// Returns whether the operation must be killed on the server.
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
