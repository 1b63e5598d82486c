internal import AnalyticsCore
internal import CoreMetrics
internal import Glibc
internal import HummingbirdCore
internal import Metrics
internal import NIOCore
internal import Synchronization

/// The connections of a server. Near the limit, it closes those that have been idle longest, to make room for new ones. If none is idle,
/// the server stops accepting.
final class ConnectionRoom: Sendable {
    /// The place of one connection.
    final class Place: Sendable {
        fileprivate let channel: any Channel
        fileprivate let idleSince: Mutex<ContinuousClock.Instant?>

        fileprivate init(_ channel: any Channel, _ idleSince: ContinuousClock.Instant?) {
            self.channel = channel
            self.idleSince = Mutex(idleSince)
        }
    }

    private struct State {
        var open = 0
        var places: [ObjectIdentifier: Place] = [:]
        /// Told to close, but not closed yet.
        var leaving: [ObjectIdentifier: Place] = [:]
    }

    private let limit: Int
    /// Connections closed per pass, because each pass looks at all connections.
    private let spare: Int
    private let state = Mutex(State())
    /// New connections may wait in the kernel's queue.
    private let isFull = Atomic(false)
    private let closed: Counter

    init(limit: Int, metricsFactory: any MetricsFactory = MetricsSystem.factory) {
        self.limit = limit
        spare = max(1, limit / 64)
        closed = MetricCatalogue.metrics.httpIdleConnectionsClosed.make(factory: metricsFactory)
    }

    // MARK: Of connections

    func take(by channel: any Channel, idleSince: ContinuousClock.Instant?) -> Place {
        let place = Place(channel, idleSince)
        state.withLock { $0.places[ObjectIdentifier(place)] = place }
        return place
    }

    func leave(_ place: Place) {
        state.withLock { state in
            state.places[ObjectIdentifier(place)] = nil
            state.leaving[ObjectIdentifier(place)] = nil
        }
    }

    /// Cancels a close: the connection has become busy since.
    func stay(_ place: Place) {
        state.withLock { state in
            if let place = state.leaving.removeValue(forKey: ObjectIdentifier(place)) { state.places[ObjectIdentifier(place)] = place }
        }
    }

    func note(_ place: Place, idleSince: ContinuousClock.Instant?) {
        let wasIdle = place.idleSince.withLock { since in
            defer { since = idleSince }
            return since != nil
        }
        if idleSince != nil, !wasIdle, isFull.load(ordering: .relaxed) { closeIdle() }
    }

    // MARK: Of the server

    func opened() {
        let isTight = state.withLock { state in
            state.open += 1
            return state.open - state.leaving.count > limit - spare
        }
        if isTight { closeIdle() }
    }

    func left() {
        state.withLock { $0.open -= 1 }
        isFull.store(false, ordering: .relaxed)
    }

    var hasRoom: Bool {
        guard state.withLock({ $0.open >= limit }) else { return true }
        isFull.store(true, ordering: .relaxed)
        closeIdle()
        return false
    }

    /// Closes those that have been idle longest, at most ``spare`` including those that are already about to close.
    func closeIdle() {
        let chosen = state.withLock { state in
            let idle = state.places.values.compactMap { place in place.idleSince.withLock { $0 }.map { (since: $0, place: place) } }
            let chosen = idle.sorted { $0.since < $1.since }.prefix(max(0, spare - state.leaving.count)).map(\.place)
            for place in chosen {
                state.places[ObjectIdentifier(place)] = nil
                state.leaving[ObjectIdentifier(place)] = place
            }
            return chosen
        }
        closed.increment(by: Int64(chosen.count))
        for place in chosen {
            place.channel.eventLoop.execute {
                (try? place.channel.pipeline.syncOperations.handler(type: ConnectionTimeoutHandler.self))?.closeIfIdle()
            }
        }
    }

    /// For tests.
    var connections: Int { state.withLock { $0.open } }
}

extension ConnectionRoom {
    /// Hummingbird's hook for accepting connections.
    struct Delegate: AvailableConnectionsDelegate {
        let room: ConnectionRoom

        func connectionOpened() { room.opened() }
        func connectionClosed() { room.left() }
        func isAcceptingNewConnections() -> Bool { room.hasRoom }
    }
}

/// Stops accepting for a moment if the system has no descriptor left. NIO's own handler skips a read, but the socket stays registered, so
/// the event loop would spin on it.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private static let pause: TimeAmount = .milliseconds(100)

    private let room: ConnectionRoom

    init(_ room: ConnectionRoom) {
        self.room = room
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.fireErrorCaught(error)
        guard let error = error as? IOError, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode),
            let options = context.channel.syncOptions
        else { return }
        room.closeIdle()
        try? options.setOption(.autoRead, value: false)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { try? options.setOption(.autoRead, value: true) }
    }
}
