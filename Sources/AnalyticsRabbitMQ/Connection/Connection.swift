import AnalyticsCore
import CRabbitMQ
import Glibc

/// One connection with one channel, used only by the thread that created it.
///
/// librabbitmq connects, logs in and declares; those calls block, each within a time limit. Afterwards the socket is polled, read and
/// written here (``BrokerSocket``), and librabbitmq only decodes the bytes (`amqp_handle_input`): its own wait sends heartbeats only
/// inside its calls, and its writes have no time limit (``FrameWriter``).
final class Connection {
    private let frames: FrameDecoder
    private let socket: BrokerSocket
    private let inbound: UnsafeMutableRawBufferPointer
    private var liveness: Liveness
    var output = FrameWriter()

    /// Connects, logs in and opens the channel.
    init(to address: BrokerAddress, name: String, settings: LinkSettings) throws(BrokerError) {
        guard let frames = FrameDecoder() else { throw BrokerError(.unavailable, "out of memory") }
        self.frames = frames
        let state = frames.state
        liveness = Liveness(heartbeat: settings.heartbeat, now: .now)
        socket = try BrokerSocket(to: address, on: state, within: settings.connectTimeout)
        // From here on `deinit` frees it, also if a call below throws.
        inbound = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        var limit = timeval(settings.replyTimeout)
        amqp_set_handshake_timeout(state, &limit)
        amqp_set_rpc_timeout(state, &limit)
        let heartbeat = Int32(settings.heartbeat.components.seconds)
        try check(analytics_login(state, address.vhost, heartbeat, address.user, address.password, name), "logging in")
        liveness = Liveness(heartbeat: .seconds(Int(amqp_get_heartbeat(state))), now: .now)
        try check(analytics_open_channel(state, FrameWriter.channel), "opening a channel")
    }

    deinit {
        inbound.deallocate()
    }

    var state: amqp_connection_state_t { frames.state }

    /// The largest frame that the broker accepts.
    var frameSize: Int { Int(amqp_get_frame_max(state)) }

    func check(_ reply: amqp_rpc_reply_t, _ action: String) throws(BrokerError) {
        switch reply.reply_type {
        case AMQP_RESPONSE_NORMAL: return
        case AMQP_RESPONSE_SERVER_EXCEPTION:
            let reason = reply.reply.closeReason
            // ACCESS_REFUSED, PRECONDITION_FAILED, NOT_ALLOWED: errors that a retry does not fix.
            let code: BrokerError.Code = [403, 406, 530].contains(reason.code) ? .misconfigured : .unavailable
            throw BrokerError(code, "\(action): \(reason.text)")
        default: throw BrokerError(.unavailable, "\(action): \(socket.description(of: reply.library_error))")
        }
    }
}

// MARK: - Setting up

extension Connection {
    func selectConfirms() throws(BrokerError) {
        try check(analytics_select_confirms(state, FrameWriter.channel), "asking for confirms")
    }

    func declareExchange(_ name: String) throws(BrokerError) {
        try check(analytics_declare_exchange(state, FrameWriter.channel, name), "declaring the exchange \(name)")
    }

    func declareQuorumQueue(_ name: String, deadLetters: String? = nil) throws(BrokerError) {
        let statesNoLimit: Int32 = serverMajorVersion >= 4 ? 1 : 0
        let reply =
            if let deadLetters {
                analytics_declare_quorum_queue(state, FrameWriter.channel, name, deadLetters, Topology.routingKey, statesNoLimit)
            } else {
                analytics_declare_quorum_queue(state, FrameWriter.channel, name, nil, nil, statesNoLimit)
            }
        try check(reply, "declaring the queue \(name)")
    }

    func bind(_ queue: String, to exchange: String, key: String) throws(BrokerError) {
        try check(analytics_bind(state, FrameWriter.channel, queue, exchange, key), "binding the queue \(queue)")
    }

    /// For tests, which clean up.
    func deleteQueue(_ name: String) throws(BrokerError) {
        try check(analytics_delete_queue(state, FrameWriter.channel, name), "deleting the queue \(name)")
    }

    func deleteExchange(_ name: String) throws(BrokerError) {
        try check(analytics_delete_exchange(state, FrameWriter.channel, name), "deleting the exchange \(name)")
    }

    private var serverMajorVersion: Int {
        let properties = amqp_get_server_properties(state).pointee
        for entry in UnsafeBufferPointer(start: properties.entries, count: Int(properties.num_entries))
        where entry.key.equals("version") && entry.value.kind == UInt8(AMQP_FIELD_KIND_UTF8.rawValue) {
            return String(entry.value.value.bytes).splitUTF8(".").first.flatMap { Int($0) } ?? 0
        }
        return 0
    }
}

// MARK: - Once set up

extension Connection {
    /// Passes on frames that librabbitmq has read ahead during the calls above. Call it once, before ``wait(for:until:)``.
    func readAhead(_ handle: (Frame) throws(BrokerError) -> Void) throws(BrokerError) {
        try frames.decodeReadAhead(handle)
    }

    /// Waits until the socket is readable (or writable, if there is output), `wakeUp` is readable, or a heartbeat or `deadline` is due.
    func wait(for wakeUp: Int32, until deadline: Instant?) {
        let due = [deadline, liveness.due(canSend: output.isEmpty)].compactMap(\.self).min()
        socket.wait(
            hasOutput: !output.isEmpty, wakeUp: wakeUp,
            milliseconds: due.map { PollTimeout.milliseconds(until: $0, from: .now) } ?? -1)
    }

    /// Reads available bytes, at most one buffer, and passes on the frames that they complete.
    func read(_ handle: (Frame) throws(BrokerError) -> Void) throws(BrokerError) {
        let count = socket.read(into: inbound)
        if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
        guard count > 0 else {
            throw BrokerError(.unavailable, count == 0 ? "the broker closed the connection" : "reading: \(Self.systemError())")
        }
        liveness.received(now: .now)
        try frames.decode(UnsafeMutableRawBufferPointer(rebasing: inbound[..<count]), handle)
    }

    /// Writes as much as the socket accepts at once.
    func flush() throws(BrokerError) {
        while !output.isEmpty {
            let sent = output.withPending { socket.write($0) }
            if sent < 0 && (errno == EAGAIN || errno == EINTR) { return }
            guard sent > 0 else { throw BrokerError(.unavailable, "writing: \(Self.systemError())") }
            output.drop(sent)
            liveness.sent(now: .now)
        }
    }

    /// Sends a heartbeat if one is due. Throws if the broker has been silent for too long.
    func keepAlive(now: Instant) throws(BrokerError) {
        switch liveness.action(now: now) {
        case .none: return
        // If the socket is full, other bytes are already being sent.
        case .beat: if output.isEmpty { output.heartbeat() }
        case .giveUp: throw BrokerError(.unavailable, "the broker has been silent for two heartbeats")
        }
    }

    private static func systemError() -> String {
        String(cString: strerror(errno))
    }
}

extension timeval {
    init(_ duration: Duration) {
        self.init(
            tv_sec: Int(duration.components.seconds), tv_usec: Int(duration.components.attoseconds / 1_000_000_000_000))
    }
}

enum PollTimeout {
    /// Rounded up, so that the deadline has passed when the wait ends; at most one hour.
    static func milliseconds(until deadline: Instant, from now: Instant) -> Int32 {
        guard deadline > now else { return 0 }
        return Int32(min((deadline - now).milliseconds, 3_600_000) + 1)
    }
}
