import AnalyticsCore
import Foundation
import Logging

/// The purpose of a link: decides what to send, does no I/O of its own. Runs on the link's thread.
protocol LinkRole: SendableMetatype {
    associatedtype Command: Sendable

    /// Whether no reply of the broker is expected any more, so that the link may end.
    var isDrained: Bool { get }
    /// Sets up what the role needs on a new connection. Blocks.
    mutating func prepare(_ connection: Connection) throws(BrokerError)
    mutating func accept(_ command: Command, now: Instant)
    /// Throwing closes the connection.
    mutating func receive(_ frame: Frame, now: Instant) throws(BrokerError)
    /// Writes what is to be sent now. Throwing closes the connection.
    mutating func advance(now: Instant, output: inout FrameWriter) throws(BrokerError) -> LinkDemand
    /// There is no connection, or it was lost. `isRetrying`: the next attempt follows at once.
    mutating func disconnected(_ error: BrokerError, isRetrying: Bool)
    /// The link has ended.
    mutating func finish()
}

struct LinkDemand {
    /// Has more to write when the output has room.
    var hasMore = false
    /// When to call `advance` again at the latest.
    var deadline: Instant?
}

/// A thread that keeps one connection open for a role. It connects, reconnects with backoff, and handles heartbeats, commands and
/// frames as they arrive; otherwise it sleeps. Ends after ``stop()``.
final class Link<Role: LinkRole>: Sendable {
    /// librabbitmq 0.11 decodes nested tables by unlimited recursion, and every consumer receives the publisher's headers. A frame of
    /// 128 KiB holds 26,000 levels, which take 4 MiB of stack.
    static var stackSize: Int { 16 << 20 }

    private let mailbox: Mailbox<Role.Command>
    private let address: BrokerAddress
    private let settings: LinkSettings
    private let logger: Logger
    private let name: String

    init(
        name: String, address: BrokerAddress, settings: LinkSettings, logger: Logger, mailbox: Mailbox<Role.Command> = Mailbox(),
        role: @escaping @Sendable () -> Role
    ) {
        self.mailbox = mailbox
        self.name = name
        self.address = address
        self.settings = settings
        var logger = logger
        logger[metadataKey: "connection"] = .string(name)
        self.logger = logger
        let thread = Thread { [self] in run(role()) }
        thread.name = name
        thread.stackSize = Self.stackSize
        thread.start()
    }

    /// Returns false if the link has been stopped.
    func post(_ command: Role.Command) -> Bool { mailbox.post(command) }

    /// Begins to drain and close. Accepts no further commands.
    func stop() { mailbox.close() }

    /// Returns when the thread of a stopped link has ended.
    func finished() async { await mailbox.finished() }

    private func run(_ role: consuming Role) {
        var reconnectDelay = ReconnectDelay()
        var random = SystemRandomNumberGenerator()
        var hasFailed = false
        while !mailbox.take(into: &role) {
            var connected: Instant?
            do throws(BrokerError) {
                let connection = try Connection(to: address, name: name, settings: settings)
                try role.prepare(connection)
                connected = .now
                hasFailed = false
                logger.info("Connected to RabbitMQ")
                try serve(connection, &role)
                break
            } catch {
                // The consumer's caller reports a queue that belongs to another owner.
                logger.log(
                    level: hasFailed || error.code == .owned ? .debug : .warning, "No connection to RabbitMQ",
                    metadata: ["error": "\(error)"])
                hasFailed = true
                let lifetime = connected.map { ContinuousClock.now - $0 }
                let delay = reconnectDelay.next(afterLifetime: lifetime, using: &random)
                role.disconnected(error, isRetrying: delay == .zero)
                pause(until: .now + delay, &role)
            }
        }
        role.finish()
        mailbox.finish()
    }

    /// Returns when the link was stopped and the broker has confirmed the close, or the time for that is over.
    private func serve(_ connection: Connection, _ role: inout Role) throws(BrokerError) {
        try connection.readAhead { frame throws(BrokerError) in try role.receive(frame, now: .now) }
        var stopping: Instant?
        var closing: Instant?
        var isClosed = false
        while !isClosed {
            let now = Instant.now
            if mailbox.take(into: &role), stopping == nil { stopping = now + settings.drainTimeout }
            let deadline = closing == nil ? try write(connection, &role, now) : nil
            if let limit = stopping, closing == nil, role.isDrained || now >= limit {
                connection.output.closeConnection()
                closing = now + settings.goodbyeTimeout
            }
            if let closing, now >= closing { return }
            try connection.keepAlive(now: now)
            try connection.flush()
            connection.wait(for: mailbox.wakeUp, until: [deadline, closing ?? stopping].compactMap(\.self).min())
            let received = Instant.now
            try connection.read { frame throws(BrokerError) in
                if case .closeConfirmed = frame { isClosed = true }
                if case .connectionClosed(let reason) = frame { throw BrokerError(.unavailable, "closed by the broker: \(reason)") }
                if case .channelClosed(let reason) = frame { throw BrokerError(.unavailable, "channel closed: \(reason)") }
                try role.receive(frame, now: received)
            }
        }
    }

    /// Lets the role write until it has nothing more or the socket is full. Returns the role's deadline.
    private func write(_ connection: Connection, _ role: inout Role, _ now: Instant) throws(BrokerError) -> Instant? {
        var demand: LinkDemand
        repeat {
            demand = try role.advance(now: now, output: &connection.output)
            try connection.flush()
        } while demand.hasMore && connection.output.isEmpty
        return demand.deadline
    }

    /// Keeps taking commands, so that a role without a connection can refuse them at once.
    private func pause(until deadline: Instant, _ role: inout Role) {
        while deadline > .now, !mailbox.take(into: &role) {
            var descriptor = pollfd(fd: mailbox.wakeUp, events: Int16(POLLIN), revents: 0)
            _ = poll(&descriptor, 1, PollTimeout.milliseconds(until: deadline, from: .now))
        }
    }
}

extension Mailbox {
    /// Passes new commands to a role. Returns whether the mailbox was closed.
    fileprivate func take<Role: LinkRole>(into role: inout Role) -> Bool where Role.Command == Command {
        let (commands, isClosed) = take()
        for command in commands { role.accept(command, now: .now) }
        return isClosed
    }
}
