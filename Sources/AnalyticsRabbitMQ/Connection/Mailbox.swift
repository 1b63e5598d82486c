import Glibc
import Synchronization

/// Passes commands to a link's thread. A pipe, which the thread polls together with the socket, wakes it.
final class Mailbox<Command: Sendable>: Sendable {
    private struct State {
        var commands: [Command] = []
        var isSignalled = false
        var isClosed = false
        var isFinished = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    /// Readable if there is something to take.
    let wakeUp: Int32
    private let signal: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        let made = pipe(&ends)
        precondition(made == 0, "no file descriptors left for a pipe")
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (wakeUp, signal) = (ends[0], ends[1])
    }

    deinit {
        _ = Glibc.close(wakeUp)
        _ = Glibc.close(signal)
    }

    /// Returns false if the mailbox is closed: nothing reads it any more.
    func post(_ command: Command) -> Bool {
        state.withLock { state in
            guard !state.isClosed else { return false }
            state.commands.append(command)
            raise(&state)
            return true
        }
    }

    /// Accepts no further commands, and tells the thread to end.
    func close() {
        state.withLock { state in
            state.isClosed = true
            raise(&state)
        }
    }

    /// The commands since the last call, and whether the mailbox was closed.
    func take() -> (commands: [Command], isClosed: Bool) {
        state.withLock { state in
            if state.isSignalled {
                var byte: UInt8 = 0
                _ = read(wakeUp, &byte, 1)
                state.isSignalled = false
            }
            defer { state.commands = [] }
            return (state.commands, state.isClosed)
        }
    }

    /// The thread reports that it has ended.
    func finish() {
        let waiters = state.withLock { state in
            state.isFinished = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func finished() async {
        await withCheckedContinuation { continuation in
            let isFinished = state.withLock { state in
                if !state.isFinished { state.waiters.append(continuation) }
                return state.isFinished
            }
            if isFinished { continuation.resume() }
        }
    }

    private func raise(_ state: inout State) {
        guard !state.isSignalled else { return }
        var byte: UInt8 = 1
        state.isSignalled = write(signal, &byte, 1) == 1
    }
}
