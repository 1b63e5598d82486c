internal import AnalyticsCore
internal import CoreMetrics
internal import Logging
internal import Metrics
internal import NIOCore
internal import Synchronization

/// Sends live events to all readers. While a project has readers, each second is read and encoded once, and all readers get the same bytes.
/// A reader whose buffer is full is dropped.
final class LiveFeed: Sendable {
    struct Limits: Sendable {
        /// Over all projects.
        var readers = 2_000
        /// Projects with readers at the same time.
        var projects = 100
    }

    fileprivate struct Channel {
        var seconds = LiveChannel()
        var figures = LiveFigures()
        var poll: Task<Void, Never>?
    }

    fileprivate struct State {
        var channels: [ProjectID: Channel] = [:]
        var readers = 0
        var lastNumber = 0
    }

    /// After this time without data, a heartbeat keeps readers and proxies from closing the connection.
    private static let silence: Duration = .seconds(10)
    private static let usersInterval: Duration = .seconds(5)
    /// The expensive figures are read once per this many ``usersInterval``.
    private static let rareTimes = 6
    private static let patience: Duration = .seconds(5)

    private let reader: LiveReader
    private let limits: Limits
    private let clock: WallClock
    private let elapsed: ElapsedClock
    private let logger: Logger
    private let state = Mutex(State())
    private let readers = MetricCatalogue.metrics.liveReaders.makeMeter()
    private let dropped = MetricCatalogue.metrics.liveReadersDropped.make()

    init(reader: LiveReader, limits: Limits = Limits(), clock: WallClock, elapsed: ElapsedClock = .system, logger: Logger) {
        self.reader = reader
        self.limits = limits
        self.clock = clock
        self.elapsed = elapsed
        self.logger = logger
    }

    /// Throws if the limit of readers or projects is reached.
    ///
    /// - Parameter last: The last second that the reader has.
    func subscribe(to project: ProjectID, after last: Int64?) throws(Problem) -> LiveSubscription {
        let now = clock.now()
        let (chunks, sink) = AsyncStream<ByteBuffer>.makeStream(
            bufferingPolicy: .bufferingOldest(LiveChannel.held))
        let number = state.withLock { state -> Int? in
            for (other, channel) in state.channels where other != project && channel.seconds.isOld(at: now) { state.channels[other] = nil }
            guard state.readers < limits.readers, state.channels[project] != nil || state.channels.count < limits.projects else {
                return nil
            }
            state.readers += 1
            state.lastNumber += 1
            var channel = state.channels[project] ?? Channel()
            channel.seconds.join(state.lastNumber, sink, after: last, at: now)
            if channel.poll == nil { channel.poll = Task { await poll(project) } }
            state.channels[project] = channel
            return state.lastNumber
        }
        guard let number else {
            throw Problem(
                .overloaded, "As many listen to live events as may. Ask again in a moment, or listen through one connection for many.")
        }
        readers.increment()
        return LiveSubscription(chunks) { [weak self] in self?.leave(project, number) }
    }

    private func leave(_ project: ProjectID, _ number: Int) {
        let hasLeft = state.withLock { state in
            guard state.channels[project]?.seconds.leave(number) == true else { return false }
            state.left(1, project)
            return true
        }
        if hasLeft { readers.decrement() }
    }

    private func drop(_ count: Int) {
        guard count > 0 else { return }
        readers.decrement(by: Double(count))
        dropped.increment(by: count)
        logger.info("Slow readers of live events dropped", metadata: ["readers": "\(count)"])
    }

    // MARK: Asking

    private func poll(_ project: ProjectID) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.tellSeconds(of: project) }
            group.addTask { await self.followUsers(of: project) }
        }
    }

    private func tellSeconds(of project: ProjectID) async {
        var lastTold = elapsed.now()
        while !Task.isCancelled {
            await updateLag(of: project)
            while let second = due(project), await tell(second, of: project) { lastTold = elapsed.now() }
            if elapsed.now() - lastTold >= Self.silence {
                lastTold = elapsed.now()
                drop(state.withLock { $0.send(LiveEvent.heartbeat, project) })
            }
            // Until the next full second.
            guard (try? await elapsed.sleep(.milliseconds(1_000 - clock.now().milliseconds % 1_000))) != nil else { return }
        }
    }

    private func due(_ project: ProjectID) -> Int64? {
        guard !Task.isCancelled else { return nil }
        return state.withLock { [now = clock.now()] in $0.channels[project]?.seconds.due(at: now) }
    }

    /// Returns whether the second was sent; if not, it is retried after a second.
    private func tell(_ second: Int64, of project: ProjectID) async -> Bool {
        do {
            // The outer deadline also limits the wait for a free query slot.
            let live = try await Deadline.within(Self.patience) {
                try await Deadline.enforce { [reader] in try await reader.second(second, of: project) }
            }
            guard let (figures, rate) = state.withLock({ $0.figures(of: live, project) }) else { return false }
            let bytes = LiveEvent.bytes(live, rate: rate, figures, at: clock.now())
            let entry = LiveChannel.Entry(bytes: bytes, events: live.counts.total)
            drop(state.withLock { [now = clock.now()] in $0.add(second, entry, project, at: now) })
            return true
        } catch {
            guard !Task.isCancelled else { return false }
            logger.info("Live events not read, retrying", metadata: ["error": "\(error)"])
            return false
        }
    }

    private func updateLag(of project: ProjectID) async {
        let first = clock.now() - .seconds(3_600)
        let waits = try? await Deadline.within(Self.patience) {
            try await Deadline.enforce { [reader] in try await reader.waiting(of: project, since: first) }
        }
        state.withLock { $0.channels[project]?.figures.waitsSince = waits }
    }

    private func followUsers(of project: ProjectID) async {
        var time = 0
        while !Task.isCancelled {
            let now = Timestamp(milliseconds: clock.now().milliseconds / 1_000 * 1_000)
            let few = await users(of: project, .seconds(300), before: now)
            state.withLock { state in
                state.channels[project]?.figures.users5 = few
                state.channels[project]?.figures.usersAt = now
            }
            if time % Self.rareTimes == 0 {
                let many = await users(of: project, .seconds(1_800), before: now)
                let oldest = try? await reader.waiting(of: project, since: now - .seconds(86_400))
                state.withLock { state in
                    state.channels[project]?.figures.users30 = many
                    state.channels[project]?.figures.oldestWait = oldest
                }
            }
            time += 1
            guard (try? await elapsed.sleep(Self.usersInterval)) != nil else { return }
        }
    }

    /// `nil` if the question fails, or exceeds the limits of a question.
    private func users(of project: ProjectID, _ time: Duration, before now: Timestamp) async -> Int64? {
        try? await reader.users(of: project, from: now - time, to: now)
    }
}

extension LiveFeed.State {
    fileprivate mutating func left(_ count: Int, _ project: ProjectID) {
        readers -= count
        guard channels[project]?.seconds.isIdle == true else { return }
        channels[project]?.poll?.cancel()
        channels[project]?.poll = nil
    }

    fileprivate func figures(of live: LiveSecond, _ project: ProjectID) -> (LiveFigures, Double)? {
        channels[project].map { ($0.figures, $0.seconds.rate(of: live.second, live.counts.total)) }
    }

    /// Returns the number of readers that were dropped.
    fileprivate mutating func add(_ second: Int64, _ entry: LiveChannel.Entry, _ project: ProjectID, at now: Timestamp) -> Int {
        let count = channels[project]?.seconds.add(second, entry, at: now).count ?? 0
        left(count, project)
        return count
    }

    fileprivate mutating func send(_ bytes: ByteBuffer, _ project: ProjectID) -> Int {
        let count = channels[project]?.seconds.send(bytes).count ?? 0
        left(count, project)
        return count
    }
}

/// The stream of one reader, until it ends it or is dropped. The last reference that goes ends it too.
final class LiveSubscription: Sendable {
    let chunks: AsyncStream<ByteBuffer>
    private let leave: @Sendable () -> Void

    fileprivate init(_ chunks: AsyncStream<ByteBuffer>, leave: @escaping @Sendable () -> Void) {
        self.chunks = chunks
        self.leave = leave
    }

    /// Buffered bytes are still delivered.
    func end() { leave() }

    deinit { leave() }
}
